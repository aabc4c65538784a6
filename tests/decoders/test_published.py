import hashlib
import os
import zipfile
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="teacher and student need torch")

import safetensors.torch

from diverloop.decoders import published
from diverloop.decoders.fetching import PUBLISHED
from diverloop.decoders.published import load_published, published_layout
from diverloop.decoders.teacher import Teacher, TeacherConfig
from diverloop.runtime.errors import BundleError

torch.set_num_threads(1)

TINY = TeacherConfig.named("tiny", 50)
SMALL = TeacherConfig.named("small", 500)
# The published widths with one or two layers: every kind of tensor, in a tenth of the time.
CUT = {"tiny": replace(TINY, n_layers=2), "small": replace(SMALL, n_layers=1)}


def tensors_for(config, seed=0, dtype=torch.bfloat16):
    draw = torch.Generator().manual_seed(seed)
    return {
        name: (0.05 * torch.randn(shape, generator=draw)).to(dtype)
        for name, shape in published_layout(config).items()
    }


def sha256_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path, tensors, **more):
    torch.save({"module": tensors, "dp_world_size": 8, **more}, path)
    return sha256_of(path)


def braindecode_name(name):
    """Written once more and plainly, so that the product's table has something to agree with."""
    words = {
        "embedding.0.": "patch_cnn.",
        "embedding.1.embedding.": "spectral_emb.",
        "embedding.2.embedding.embedding2.models.0.embedding.": "chan_emb.type_emb.",
        "embedding.2.embedding.embedding2.models.1.embedding.": "chan_emb.subtype_emb.",
        "embedding.3.embedding.0.module.": "stcpe.down.",
        "embedding.3.embedding.1.model.": "stcpe.",
        "embedding.3.embedding.2.module.": "stcpe.up.",
        "token_manager.special_tokens.NC_token.param": "global_register",
        "token_manager.special_tokens.N_token.param": "patch_register",
        "token_manager.special_tokens.C_token.param": "chan_register",
    }
    if name.startswith("encoder."):
        name = name.removeprefix("encoder.")
    for old, new in words.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
    return name.replace("var_attn_bias.emb", "channel_bias")


def converted(tensors):
    return {
        braindecode_name(name): tensor.float()
        for name, tensor in tensors.items()
        if name != "mask_encoding" and not name.startswith("heads.")
    }


# Where a sample of every kind of tensor must arrive, written by hand from the architecture.
ARRIVES = {
    "mask_encoding": "mask_encoding",
    "embedding.0.proj_in.0.weight": "patch_cnn.convs.0.weight",
    "embedding.0.proj_in.1.bias": "patch_cnn.norms.0.bias",
    "embedding.0.proj_in.3.weight": "patch_cnn.convs.1.weight",
    "embedding.0.proj_in.4.weight": "patch_cnn.norms.1.weight",
    "embedding.0.proj_in.6.weight": "patch_cnn.convs.2.weight",
    "embedding.0.proj_in.7.weight": "patch_cnn.norms.2.weight",
    "embedding.1.embedding.spectral_proj.0.weight": "spectral_emb.proj.weight",
    "embedding.2.embedding.embedding2.models.0.embedding.weight": "place_emb.type_table",
    "embedding.2.embedding.embedding2.models.1.embedding.weight": "place_emb.subtype_table",
    "embedding.3.embedding.0.module.weight": "stcpe.down.weight",
    "embedding.3.embedding.1.model.encoder.layers.0.ffn.fc1.weight": (
        "stcpe.block.layers.0.ffn.fc1.weight"
    ),
    "embedding.3.embedding.1.model.encoder.norm.weight": "stcpe.block.norm.weight",
    "embedding.3.embedding.2.module.bias": "stcpe.up.bias",
    "encoder.encoder.layers.0.self_attn.q_proj.weight": "encoder.layers.0.self_attn.q_proj.weight",
    "encoder.encoder.layers.0.self_attn.k_proj.weight": "encoder.layers.0.self_attn.k_proj.weight",
    "encoder.encoder.layers.0.self_attn.v_proj.weight": "encoder.layers.0.self_attn.v_proj.weight",
    "encoder.encoder.layers.0.self_attn.out_proj.weight": (
        "encoder.layers.0.self_attn.out_proj.weight"
    ),
    "encoder.encoder.layers.0.self_attn.q_norm.weight": "encoder.layers.0.self_attn.q_norm.weight",
    "encoder.encoder.layers.0.self_attn.k_norm.weight": "encoder.layers.0.self_attn.k_norm.weight",
    "encoder.encoder.layers.0.self_attn.var_attn_bias.emb.weight": (
        "encoder.layers.0.self_attn.channel_bias"
    ),
    "encoder.encoder.layers.0.ffn.fc1.weight": "encoder.layers.0.ffn.fc1.weight",
    "encoder.encoder.layers.0.ffn.fc_gate.weight": "encoder.layers.0.ffn.fc_gate.weight",
    "encoder.encoder.layers.0.ffn.fc2.weight": "encoder.layers.0.ffn.fc2.weight",
    "encoder.encoder.layers.0.norm1.weight": "encoder.layers.0.norm1.weight",
    "encoder.encoder.layers.0.norm2.weight": "encoder.layers.0.norm2.weight",
    "encoder.encoder.norm.weight": "encoder.norm.weight",
    "token_manager.special_tokens.N_token.param": "patch_register",
    "token_manager.special_tokens.C_token.param": "chan_register",
    "token_manager.special_tokens.NC_token.param": "global_register",
    "heads.org.heads.time_head.module.weight": "heads.time.weight",
    "heads.org.heads.fft_amplitude_head.module.bias": "heads.fft.bias",
}
STFT = "heads.org.heads.multiscale_stft_amplitude_head.module."


# --- the layout --------------------------------------------------------------------------------


def test_the_layout_has_the_published_number_of_tensors_and_their_shapes():
    tiny, small = published_layout(TINY), published_layout(SMALL)
    assert (len(tiny), len(small)) == (186, 188)
    told = {
        "mask_encoding": ((50,), (500,)),
        "embedding.0.proj_in.0.weight": ((16, 1, 1, 63), (64, 1, 1, 63)),
        "embedding.0.proj_in.3.weight": ((16, 16, 1, 3), (64, 64, 1, 3)),
        "embedding.0.proj_in.6.bias": ((16,), (64,)),
        "embedding.0.proj_in.7.weight": ((16,), (64,)),
        "embedding.1.embedding.spectral_proj.0.weight": ((256, 129), (512, 257)),
        "embedding.2.embedding.embedding2.models.0.embedding.weight": ((2, 64), (2, 128)),
        "embedding.2.embedding.embedding2.models.1.embedding.weight": ((3, 64), (3, 128)),
        "embedding.3.embedding.0.module.weight": ((32, 256), (64, 512)),
        "embedding.3.embedding.1.model.encoder.layers.0.self_attn.var_attn_bias.emb.weight": (
            (2, 1),
            (2, 2),
        ),
        "embedding.3.embedding.1.model.encoder.layers.0.self_attn.q_norm.weight": ((32,), (32,)),
        "embedding.3.embedding.2.module.weight": ((256, 32), (512, 64)),
        "encoder.encoder.layers.11.self_attn.out_proj.weight": ((256, 256), (512, 512)),
        "encoder.encoder.layers.11.self_attn.k_norm.weight": ((32,), (32,)),
        "encoder.encoder.layers.11.self_attn.var_attn_bias.emb.weight": ((2, 8), (2, 16)),
        "encoder.encoder.layers.0.ffn.fc_gate.weight": ((1024, 256), (2048, 512)),
        "encoder.encoder.layers.0.ffn.fc2.weight": ((256, 1024), (512, 2048)),
        "encoder.encoder.norm.weight": ((256,), (512,)),
        "token_manager.special_tokens.NC_token.param": ((1, 1, 256), (1, 1, 512)),
        "heads.org.heads.time_head.module.weight": ((50, 256), (500, 512)),
        "heads.org.heads.fft_amplitude_head.module.weight": ((200, 256), (200, 512)),
    }
    assert {name: (tiny[name], small[name]) for name in told} == told
    assert small[f"{STFT}weight"] == (700, 512)
    assert not any(name.startswith(STFT) for name in tiny)


@pytest.mark.parametrize(
    ("config", "n_parameters", "published_bytes"),
    [(TINY, 12_660_546, 25_515_984), (SMALL, 50_640_964, 102_787_420)],
    ids=["tiny", "small"],
)
def test_the_layout_counts_what_the_paper_counts_and_weighs_what_the_file_weighs(
    config, n_parameters, published_bytes
):
    sizes = {name: torch.Size(shape).numel() for name, shape in published_layout(config).items()}
    encoder = sum(
        size
        for name, size in sizes.items()
        if name != "mask_encoding" and not name.startswith("heads.")
    )
    assert encoder == n_parameters
    # A container adds names, padding to 64 bytes and a directory: about 300 bytes a tensor.
    overhead = published_bytes - 2 * sum(sizes.values())
    assert 100 * len(sizes) < overhead < 1000 * len(sizes)


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large", "xl", "xxl"])
@pytest.mark.parametrize("patch", [50, 500])
def test_every_published_tensor_is_exactly_one_of_ours(size, patch, monkeypatch):
    # Drawing on the meta device loads a compiler for seconds, and draws nothing.
    monkeypatch.setattr(torch.nn.init, "normal_", lambda tensor, **kwargs: tensor)
    config = TeacherConfig.named(size, patch)
    with torch.device("meta"):
        ours = {name: tuple(item.shape) for name, item in Teacher(config).state_dict().items()}
    layout = published_layout(config)
    renamed = {published._renamed(name, published.TEACHER_NAMES): name for name in layout}
    assert len(renamed) == len(layout)
    assert {name: layout[old] for name, old in renamed.items()} == ours


@pytest.mark.parametrize("name", [*published_layout(CUT["small"])])
def test_braindecode_names_are_as_its_converter_writes_them(name):
    if name != "mask_encoding" and not name.startswith("heads."):
        assert published._renamed(name, published.BRAINDECODE_NAMES) == braindecode_name(name)


# --- the authors' file -------------------------------------------------------------------------


@pytest.mark.parametrize("config", [TINY, CUT["small"]], ids=["tiny", "small cut to one layer"])
def test_a_file_in_the_published_layout_loads_strictly_and_every_tensor_arrives(tmp_path, config):
    written = tensors_for(config)
    sha256 = write(tmp_path / "w.pt", written)
    before = torch.random.get_rng_state()
    teacher = load_published(tmp_path / "w.pt", sha256=sha256)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert teacher.config == config
    assert not teacher.training
    state = teacher.state_dict()
    assert len(state) == len(written)
    arrives = dict(ARRIVES)
    if config.patch == 500:
        arrives |= {f"{STFT}weight": "heads.stft.weight", f"{STFT}bias": "heads.stft.bias"}
    for name, ours in arrives.items():
        assert torch.equal(state[ours], written[name].float()), name
    for name, tensor in written.items():
        ours = published._renamed(name, published.TEACHER_NAMES)
        assert state[ours].dtype == torch.float32
        assert torch.equal(state[ours], tensor.float()), name


def test_a_loaded_teacher_computes_and_learns(tmp_path):
    sha256 = write(tmp_path / "w.pt", tensors_for(CUT["tiny"]))
    teacher = load_published(tmp_path / "w.pt", sha256=sha256)
    features = teacher(torch.randn(1, 3, 200, generator=torch.Generator().manual_seed(3)))
    assert features.shape == (1, 3, 4, 256)
    assert torch.isfinite(features).all()
    assert sorted(teacher.reconstruct(features)) == ["fft", "time"]
    features.square().sum().backward()
    assert teacher.encoder.layers[0].ffn.fc1.weight.grad.abs().sum() > 0


def test_an_unknown_hash_is_refused_unless_the_caller_vouches_for_it(tmp_path):
    sha256 = write(tmp_path / "w.pt", tensors_for(CUT["tiny"]))
    with pytest.raises(BundleError, match=f"SHA-256 {sha256}, which is none of the published"):
        load_published(tmp_path / "w.pt")
    with pytest.raises(BundleError, match="wanted is 0000"):
        load_published(tmp_path / "w.pt", sha256="0" * 64)
    assert load_published(tmp_path / "w.pt", sha256=sha256.upper()).config == CUT["tiny"]


def test_a_published_hash_needs_nobody_to_vouch(tmp_path, monkeypatch):
    sha256 = write(tmp_path / "w.pt", tensors_for(CUT["tiny"]))
    entry = replace(PUBLISHED["ieeg-tiny-0.1s"], sha256=sha256)
    monkeypatch.setitem(PUBLISHED, "ieeg-tiny-0.1s", entry)
    assert load_published(tmp_path / "w.pt").config == CUT["tiny"]


@pytest.mark.parametrize("kwargs", [{}, {"sha256": "1" * 64}])
def test_the_hash_is_checked_before_anything_is_parsed(tmp_path, monkeypatch, kwargs):
    write(tmp_path / "w.pt", tensors_for(CUT["tiny"]))
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("was parsed"))
    with pytest.raises(BundleError, match="SHA-256"):
        load_published(tmp_path / "w.pt", **kwargs)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path):
    tensors = tensors_for(CUT["tiny"])
    sha256 = write(tmp_path / "w.pt", tensors, optimizer=Evil(tmp_path / "ran"))
    with pytest.raises(BundleError, match="more than tensors, or is damaged, and nothing"):
        load_published(tmp_path / "w.pt", sha256=sha256)
    assert not (tmp_path / "ran").exists()


def test_a_git_lfs_pointer_is_told_from_the_weights(tmp_path):
    pointer = (
        "version https://git-lfs.github.com/spec/v1\n"
        "oid sha256:b812093779fb5cf1b76e18f8307df4136b67b008b6cd94c6be75fa286a87864c\n"
        "size 25515984\n"
    )
    (tmp_path / "w.pt").write_text(pointer)
    assert (tmp_path / "w.pt").stat().st_size == 133
    with pytest.raises(BundleError, match=r"Git-LFS pointer.*fetch-teacher"):
        load_published(tmp_path / "w.pt")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BundleError, match=r"cannot be read.*fetch-teacher"):
        load_published(tmp_path / "w.pt")


def spoil(how, tensors):
    name = "encoder.encoder.layers.1.ffn.fc2.weight"
    if how == "missing":
        del tensors[name]
    elif how == "extra":
        tensors["encoder.encoder.layers.1.ffn.fc2.bias"] = torch.zeros(256, dtype=torch.bfloat16)
    elif how == "shape":
        tensors[name] = tensors[name].T.contiguous()
    elif how == "type":
        tensors[name] = tensors[name].float()
    elif how == "nan":
        tensors[name][3, 5] = torch.nan
    elif how == "unknowable":
        del tensors["encoder.encoder.norm.weight"]
    elif how == "width":
        tensors["encoder.encoder.norm.weight"] = torch.ones(300, dtype=torch.bfloat16)
    elif how == "not a tensor":
        tensors[name] = 3.0


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("missing", r"lacks encoder\.encoder\.layers\.1\.ffn\.fc2\.weight and has nothing"),
        ("not a tensor", r"lacks encoder\.encoder\.layers\.1\.ffn\.fc2\.weight and has nothing"),
        ("extra", r"lacks nothing and has encoder\.encoder\.layers\.1\.ffn\.fc2\.bias"),
        ("shape", r"fc2\.weight is \(1024, 256\) bfloat16 instead of \(256, 1024\)"),
        ("type", r"fc2\.weight is \(256, 1024\) float32 instead of .*all bfloat16"),
        ("nan", r"fc2\.weight' .*holds NaN or infinity"),
        ("unknowable", r"no tensor encoder\.encoder\.norm\.weight"),
        ("width", r"no published teacher \(width must be"),
    ],
)
def test_a_file_that_is_not_exactly_a_teacher_is_refused_by_name(tmp_path, how, told):
    tensors = tensors_for(CUT["tiny"])
    spoil(how, tensors)
    sha256 = write(tmp_path / "w.pt", tensors)
    with pytest.raises(BundleError, match=told):
        load_published(tmp_path / "w.pt", sha256=sha256)


def test_many_differences_are_counted_and_the_first_named(tmp_path):
    tensors = {
        name: tensor for name, tensor in tensors_for(CUT["tiny"]).items() if "heads" not in name
    }
    sha256 = write(tmp_path / "w.pt", tensors)
    with pytest.raises(BundleError, match=r"lacks heads.*and 1 more and has nothing"):
        load_published(tmp_path / "w.pt", sha256=sha256)


def test_damaged_and_foreign_files_are_told(tmp_path):
    path = tmp_path / "w.pt"
    write(path, tensors_for(CUT["tiny"]))
    cut = path.read_bytes()[:100_000]
    path.write_bytes(cut)
    with pytest.raises(BundleError, match=r"w\.pt is damaged"):
        load_published(path, sha256=sha256_of(path))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", b"\x80\x02garbage")
        archive.writestr("w/version", "3")
    with pytest.raises(BundleError, match="damaged"):
        load_published(path, sha256=sha256_of(path))
    torch.save({"state_dict": {}}, path)
    with pytest.raises(BundleError, match="no tensors under 'module'"):
        load_published(path, sha256=sha256_of(path))
    path.write_bytes(b"neither of both")
    with pytest.raises(BundleError, match="not a whole safetensors file"):
        load_published(path, sha256=sha256_of(path))


# --- braindecode's conversion ------------------------------------------------------------------


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_braindecode_file_gives_the_same_encoder_without_heads(tmp_path, size):
    tensors = tensors_for(CUT[size])
    tensors["mask_encoding"].zero_()
    whole = load_published(tmp_path / "w.pt", sha256=write(tmp_path / "w.pt", tensors))
    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file(converted(tensors), path, metadata={"format": "pt"})
    bare = load_published(path, sha256=sha256_of(path))
    assert bare.heads is None
    assert bare.config == whole.config
    expected = {name: item for name, item in whole.state_dict().items() if "heads" not in name}
    assert bare.state_dict().keys() == expected.keys()
    for name, item in bare.state_dict().items():
        assert torch.equal(item, expected[name]), name


def test_a_braindecode_file_is_held_to_its_layout_and_its_hash(tmp_path):
    path = tmp_path / "model.safetensors"
    tensors = converted(tensors_for(CUT["tiny"]))
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(BundleError, match="none of the published files"):
        load_published(path)
    tensors["final_layer.weight"] = torch.zeros(2, 256)
    del tensors["patch_register"]
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(BundleError, match=r"lacks patch_register and has final_layer\.weight"):
        load_published(path, sha256=sha256_of(path))
