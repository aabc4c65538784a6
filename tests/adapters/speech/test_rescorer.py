from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import zmq

from diverloop.adapters.speech.rescorer import Rescorer, listening_at, main, newest
from diverloop.adapters.speech.second_stage import RemoteSecondStage, Request
from diverloop.runtime.access import Role
from diverloop.runtime.errors import ConfigError
from diverloop.runtime.keys import PersonKey, new_curve_key, server_key
from diverloop.runtime.people import People

from .person import Session, adapter, hops_of

TEXT = ["i need the nurse", "i need water", "the nurse is here"]


def asked(*hypotheses, version=1, final=True):
    return {"utterance": 1, "version": version, "final": final, "hypotheses": list(hypotheses)}


def test_the_language_settles_what_the_scores_leave_open():
    answer = Rescorer(TEXT).answer(asked(["i need the purse", -1.0], ["i need the nurse", -1.1]))
    assert answer == {"utterance": 1, "version": 1, "text": "i need the nurse"}


def test_scores_win_where_they_are_clear():
    rescorer = Rescorer(TEXT, weight=0.1)
    answer = rescorer.answer(asked(["nurse the need", 0.0], ["i need water", -50.0]))
    assert answer["text"] == "nurse the need"


def test_an_empty_list_gives_an_empty_text():
    assert Rescorer(TEXT).answer(asked())["text"] == ""


def test_of_what_has_piled_up_the_newest_counts_and_forgetting_is_heeded():
    with zmq.Context() as context:
        there, here = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        port = there.bind_to_random_port("tcp://127.0.0.1")
        here.connect(f"tcp://127.0.0.1:{port}")
        rescorer = Rescorer(TEXT)
        rescorer.answer(asked(["i need water", 0.0]))
        assert rescorer._before
        for message in (asked(version=1), {"forget": True}, asked(version=2), asked(version=3)):
            here.send(json.dumps(message).encode())
        versions = []
        while not versions or versions[-1] != 3:
            versions += [one["version"] for one in newest(there, rescorer).values()]
        assert versions == sorted(versions)
        assert not rescorer._before
        there.close()
        here.close()


def test_without_keys_it_listens_on_this_machine_only():
    with (
        pytest.raises(ConfigError, match="reaches beyond this machine: give --keyed"),
        listening_at("tcp://0.0.0.0:5599", keyed=False),
    ):
        pass


def test_with_keys_it_answers_those_on_its_list_and_tells_the_others_that_it_refuses(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("DIVERLOOP_HOME", str(tmp_path))
    key = new_curve_key()
    People().enrol("loop-1", Role.VIEWER, key.public)
    events = []
    with listening_at("tcp://127.0.0.1:*", keyed=True) as socket:
        address = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        known, stranger = (
            PersonKey(name=name, key=one, server=server_key().public)
            for name, one in (("loop-1", key), ("nobody", new_curve_key()))
        )
        here = RemoteSecondStage(address, known)
        there = RemoteSecondStage(address, stranger, events.append)
        question = Request(utterance=1, version=1, final=True, hypotheses=(("i need water", -1.0),))
        here.ask(question)
        there.ask(question)
        rescorer, said = Rescorer(TEXT), ()
        for _ in range(1000):
            said = said or here.answers()
            there.answers()
            if socket.poll(10):
                for client, request in newest(socket, rescorer).items():
                    answer = json.dumps(rescorer.answer(request)).encode()
                    socket.send_multipart([client, answer])
            if said and "refuses this key" in events[-1].text:
                break
        here.close()
        there.close()
    assert [one.text for one in said] == ["i need water"]
    assert "refuses this key" in events[-1].text


def test_as_a_process_it_corrects_and_while_it_is_stopped_nobody_waits(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("# what the person says\nsack beads\n", encoding="utf-8")
    address = f"ipc://{tmp_path}/stage"
    command = [sys.executable, "-m", "diverloop.adapters.speech.rescorer", "--text", str(text)]
    process = subprocess.Popen([*command, "--address", address])
    stage = RemoteSecondStage(address)
    try:
        hypotheses = (("sack bad", -0.5), ("sack beads", -0.6))
        stage.ask(Request(utterance=1, version=1, final=True, hypotheses=hypotheses))
        answers = ()
        for _ in range(300):
            if answers := stage.answers():
                break
            stage._socket.poll(50)
        assert [one.text for one in answers] == ["sack beads"]
        process.send_signal(signal.SIGSTOP)
        alone, served = Session(adapter()), Session(adapter())
        served.speech.second_stage = stage
        hops = hops_of("sack bad")
        wanted = [one.label for one in alone.hear(hops)]
        assert [one.label for one in served.hear(hops)] == wanted
        assert served.speech.text == "sack bad"
    finally:
        process.kill()
        process.wait()
        stage.close()


def test_a_stand_in_that_cannot_serve_says_why_in_a_sentence(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXT), encoding="utf-8")
    with zmq.Context() as context, context.socket(zmq.ROUTER) as taken:
        port = taken.bind_to_random_port("tcp://127.0.0.1")
        for address, path, why in (
            (f"tcp://127.0.0.1:{port}", text, "take another port"),
            ("tcp://0.0.0.0:5599", text, "reaches beyond this machine"),
            ("tcp://127.0.0.1:*", tmp_path / "gone.txt", "gone.txt"),
        ):
            with pytest.raises(SystemExit) as ended:
                main(["--address", address, "--text", str(path)])
            assert ended.value.code == 2
            assert why in capsys.readouterr().err
