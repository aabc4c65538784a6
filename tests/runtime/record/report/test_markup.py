from diverloop.runtime.record.report.markup import Html, element, joined, pairs, table


def test_text_is_escaped_wherever_it_enters():
    assert element("p", "<b> & c") == "<p>&lt;b&gt; &amp; c</p>"
    assert element("p", title='"><script>') == '<p title="&quot;&gt;&lt;script&gt;"></p>'
    assert "<script>" not in table(["<script>"], [["<script>"]])
    assert "<script>" not in pairs([("<script>", "<script>")])


def test_markup_is_not_escaped_twice():
    assert element("p", element("b", "a & b")) == "<p><b>a &amp; b</b></p>"


def test_joined_escapes_text_but_keeps_markup():
    assert joined(["<", Html("<br>")]) == "&lt;<br>"


def test_attribute_names_are_written_as_html_does():
    assert element("a", class_="x", http_equiv="y") == '<a class="x" http-equiv="y"></a>'


def test_number_columns_are_marked():
    row = table(["a", "b"], [["x", "1"]], numbers_from=1)
    assert '<td class="text">x</td><td class="number">1</td>' in row
