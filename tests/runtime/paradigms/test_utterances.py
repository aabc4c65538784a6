import pytest

from diverloop.runtime.errors import ConfigError, UnknownName
from diverloop.runtime.paradigms.phonemes import PHONEMES, SILENCE
from diverloop.runtime.paradigms.utterances import KEYWORDS, Lexicon, lexicon, sentences


def words_of(part):
    return {word for text in sentences(part) for word in text.split()}


def test_the_split_is_fixed_and_shares_no_sentence():
    train, test = sentences("train"), sentences("test")
    assert (len(train), len(test)) == (204, 51)
    assert len(set(train) | set(test)) == 255
    assert (train[0], test[0]) == ("i am thirsty", "my leg hurts")


def test_every_word_of_a_test_sentence_occurs_in_training():
    assert words_of("test") <= words_of("train")


def test_every_sentence_and_keyword_can_be_pronounced():
    for text in (*sentences("train"), *sentences("test"), *KEYWORDS):
        assert set(lexicon().phonemes(text)) <= set(PHONEMES)


def test_every_word_of_the_lexicon_is_said_somewhere():
    said = words_of("train") | words_of("test") | set(KEYWORDS)
    assert set(lexicon().words) == said
    assert len(lexicon()) == 188


def test_training_sentences_hold_every_phoneme():
    said = {one for text in sentences("train") for one in lexicon().phonemes(text)}
    assert said == set(PHONEMES)


def test_only_true_homophones_sound_alike():
    heard = {}
    for word in lexicon().words:
        heard.setdefault(lexicon().pronounce(word), []).append(word)
    alike = sorted(words for words in heard.values() if len(words) > 1)
    assert alike == [["hear", "here"], ["know", "no"], ["son", "sun"], ["to", "too"]]


def test_a_text_is_its_words_with_silence_between():
    found = lexicon().phonemes("i am thirsty")
    assert found == ("AY", SILENCE, "AE", "M", SILENCE, "TH", "ER", "S", "T", "IY")
    assert lexicon().phonemes("i am", between=None) == ("AY", "AE", "M")


def test_an_unknown_word_and_an_empty_text_are_named():
    with pytest.raises(UnknownName, match="'brexit'"):
        lexicon().phonemes("i am brexit")
    with pytest.raises(ConfigError, match="no word"):
        lexicon().phonemes("  ")


def test_a_lexicon_is_read_from_lines():
    found = Lexicon.from_text("# a comment\nyes Y EH S\n\nno N OW\n")
    assert found.words == ("yes", "no")
    assert found.pronounce("no") == ("N", "OW")
    assert "maybe" not in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 words"),
        ("yes Y EH1 S", "EH1"),
        ("yes", "one or more phonemes"),
        ("yes Y SIL S", "SIL"),
        ("Yes Y EH S", "small letters"),
        ("yes Y EH S\nyes Y EH", "twice"),
    ],
)
def test_a_lexicon_that_cannot_be_used_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        Lexicon.from_text(text)


def test_there_is_no_third_part():
    with pytest.raises(ConfigError, match="'val'"):
        sentences("val")
