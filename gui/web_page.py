"""The page of the web view: static, so nothing that a session says can become part of it.

The script fetches the figures once a second and writes them as text, never as HTML. What is old
is said to be old by the page itself, should the server be gone.
"""

from __future__ import annotations

import base64
import hashlib

from .look import DARK, FONTS, LIGHT, Look


def _colours(look: Look) -> str:
    names = ("ground", "surface", "text", "faint", "line", "accent", "good", "doubtful", "bad")
    return "".join(f"--{name}:{getattr(look, name)};" for name in names)


_STYLE = f"""
:root {{ color-scheme: light dark; {_colours(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_colours(DARK)} }} }}
* {{ box-sizing: border-box; margin: 0; }}
body {{ background: var(--ground); color: var(--text); font-family: {FONTS};
  min-height: 100vh; padding: 2vw; display: flex; flex-direction: column; gap: 1.4vw; }}
header, footer {{ display: flex; justify-content: space-between; gap: 2vw; color: var(--faint);
  font-size: max(14px, 1.25vw); }}
header b {{ color: var(--text); overflow-wrap: anywhere; }}
footer {{ margin-top: auto; }}
.alarm {{ border: .35vw solid var(--bad); border-radius: .7vw; padding: 1.1vw 1.6vw;
  font-size: max(17px, 1.9vw); font-weight: 700; overflow-wrap: anywhere; }}
.alarm::before {{ content: "\\26A0\\FE0E\\00A0"; color: var(--bad); }}
main {{ display: grid; gap: 1.4vw; grid-template-columns: repeat(4, 1fr); }}
section {{ background: var(--surface); border: 1px solid var(--line); border-radius: .7vw;
  padding: 1.3vw 1.6vw; min-width: 0; }}
.wide {{ grid-column: span 2; }} .all {{ grid-column: 1 / -1; }}
h2 {{ font-size: max(14px, 1.15vw); font-weight: 400; color: var(--faint); }}
.big {{ font-size: max(30px, 4.4vw); font-weight: 700; line-height: 1.25;
  overflow-wrap: anywhere; }}
.less {{ font-size: max(15px, 1.3vw); color: var(--faint); overflow-wrap: anywhere; }}
.bar {{ height: .9vw; min-height: 8px; background: var(--line); border-radius: .5vw;
  margin: .6vw 0; }}
.bar i {{ display: block; height: 100%; width: 0; background: var(--accent); border-radius: .5vw; }}
[data-state="good"] .big {{ color: var(--good); }}
[data-state="doubtful"] .big {{ color: var(--doubtful); }}
[data-state="bad"] .big {{ color: var(--bad); }}
table {{ border-collapse: collapse; width: 100%; font-size: max(15px, 1.3vw); }}
td {{ padding: .45vw 1.2vw .45vw 0; vertical-align: top; overflow-wrap: anywhere; }}
td:first-child {{ color: var(--faint); white-space: nowrap; width: 1%; text-align: right; }}
.old section {{ border-style: dashed; background: none; }}
.old section .big {{ color: var(--faint); }} .old .bar i {{ background: var(--faint); }}
@media (max-width: 900px) {{ main {{ grid-template-columns: repeat(2, 1fr); }} }}
@media (max-width: 900px) {{ body {{ padding: 4vw; gap: 3vw; }} section {{ padding: 3vw; }} }}
@media (max-width: 900px) {{ .wide {{ grid-column: 1 / -1; }} main {{ gap: 3vw; }} }}
"""

_SCRIPT = """
"use strict";
const at = (id) => document.getElementById(id);
const path = location.pathname.replace(/\\/$/, "") + "/figures";
let heardAt = performance.now(), ageThen = null;
const say = (id, text) => { at(id).textContent = text ?? ""; };
const seconds = (s) => s < 10 ? s.toFixed(1) + " s" : s < 120 ? Math.round(s) + " s"
  : Math.round(s / 60) + " min";
function show(told) {
  for (const id of ["session", "stream", "guard", "guard_text", "decision", "reason", "quality",
                    "quality_text", "latency", "latency_text", "samples", "gaps", "score"])
    say(id, told[id]);
  at("guard_tile").dataset.state = told.guard_state;
  at("certainty").style.setProperty("width", 100 * (told.certainty ?? 0) + "%");
  say("certainty_text", told.certainty === null ? "" : told.certainty.toFixed(2));
  at("score_tile").hidden = !told.score;
  const rows = told.events.map((event) => {
    const row = document.createElement("tr");
    for (const text of [seconds(event.age_s) + " ago", event.text]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  });
  at("events").replaceChildren(...rows);
  alarms(told.alarms);
  ageThen = told.age_s;
}
function alarms(texts) {
  at("alarms").replaceChildren(...texts.map((text) => {
    const line = document.createElement("p");
    line.className = "alarm";
    line.textContent = text;
    return line;
  }));
}
function tick() {
  const since = (performance.now() - heardAt) / 1000;
  const lost = since > 4;
  if (lost) alarms(["No answer for " + seconds(since) + ": all below is old. Is it running?"]);
  const age = ageThen === null ? null : ageThen + since;
  say("age", age === null ? "nothing heard yet" : "heard " + seconds(age) + " ago");
  document.body.classList.toggle("old", lost || age === null || age > 2.5);
}
async function ask() {
  try {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(3000) });
    if (answer.ok) { const told = await answer.json(); heardAt = performance.now(); show(told); }
  } catch { /* told by tick */ }
  tick();
  setTimeout(ask, 1000);
}
ask();
setInterval(tick, 250);
"""

PAGE = f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>diverloop</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_STYLE}</style></head>
<body class="old">
<header><b id="session"></b><span id="stream"></span>
<span id="age">nothing heard yet</span></header>
<noscript><p class="alarm">This page needs JavaScript to follow the session.</p></noscript>
<div id="alarms" role="alert"></div>
<main>
<section class="wide" id="guard_tile"><h2>Output</h2><div class="big" id="guard"></div>
<div class="less" id="guard_text"></div></section>
<section class="wide"><h2>Decision</h2><div class="big" id="decision"></div>
<div class="bar"><i id="certainty"></i></div>
<div class="less"><span id="certainty_text"></span> <span id="reason"></span></div></section>
<section class="wide"><h2>Signal</h2><div class="big" id="quality"></div>
<div class="less" id="quality_text"></div></section>
<section class="wide"><h2>Sample to action</h2><div class="big" id="latency"></div>
<div class="less" id="latency_text"></div></section>
<section class="all" id="score_tile" hidden><h2>Score</h2>
<div class="less" id="score"></div></section>
<section class="all"><h2>Last events</h2><table><tbody id="events"></tbody></table></section>
</main>
<footer><span>read only · investigational, not a medical device</span>
<span><span id="samples"></span> · <span id="gaps"></span></span></footer>
<script>{_SCRIPT}</script></body></html>
""".encode()
"""What is served, UTF-8."""


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; "
    f"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy of the page: its own style and script, and its own server, no more."""
