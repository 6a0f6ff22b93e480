// SPDX-License-Identifier: Apache-2.0
// What surrounds the sections of the status page: style and script. Private to healthmon.
#pragma once

#include <string_view>

namespace anypop::healthmon {

// Colours say nothing that a word does not say too. Contrast is at least 4.5 : 1 in both schemes.
inline constexpr std::string_view kStatusStyle = R"css(
:root { color-scheme: light dark; --bg: #f6f7f9; --card: #fff; --text: #1a1f27; --soft: #556070; --line: #d9dee5;
  --good: #0a6b3d; --bad: #b3261e; --warn: #8a5a00; --accent: #1f5fbf; }
@media (prefers-color-scheme: dark) { :root { --bg: #12161c; --card: #1b212a; --text: #e8ecf2; --soft: #a3aebd;
  --line: #313a47; --good: #5fd39a; --bad: #ff8a80; --warn: #f0bf5c; --accent: #8ab4f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text); font: 16px/1.45 system-ui, sans-serif; }
header, main, footer { max-width: 70rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 1rem; display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1rem; }
h1 { font-size: 1.35rem; margin: 0; }
h2 { font-size: 1.05rem; margin: 1.4rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .2rem 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: .5rem; background: var(--card); padding: .4rem .8rem; }
.soft { color: var(--soft); font-size: .9rem; }
.lead { font-size: 1.1rem; font-weight: 600; margin-top: .6rem; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem;
  overflow-wrap: anywhere; }
.row { display: flex; justify-content: space-between; align-items: center; gap: .75rem; }
.tag { font-size: .85rem; font-weight: 600; white-space: nowrap; border: 1.5px solid currentColor; border-radius: 1rem;
  padding: .05rem .6rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
table { width: 100%; border-collapse: collapse; font-size: .92rem; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .82rem; }
th, td { padding: .25rem .6rem .25rem 0; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; white-space: nowrap; }
th, td { overflow-wrap: normal; }
td[data-name="last probe"] { overflow-wrap: anywhere; min-width: 12rem; }
td[data-name="address"] { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-x: auto; }
svg { display: block; width: 9rem; height: 2rem; }
svg polyline { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
svg polygon { fill: var(--accent); opacity: .15; }
ol { list-style: none; margin: 0; padding: 0; }
ol li { padding: .25rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
time { color: var(--soft); font-size: .85rem; font-variant-numeric: tabular-nums; margin-right: .6rem; }
footer { padding: 1.5rem 1rem 2rem; }
@media (max-width: 34rem) {
  table.stack thead { position: absolute; left: -99rem; }
  table.stack tr { display: block; padding: .35rem 0; border-top: 1px solid var(--line); }
  table.stack th, table.stack td { display: block; border: 0; padding: 0; text-align: left; }
  table.stack td[data-name]::before { content: attr(data-name) ": "; color: var(--soft); font-size: .85rem; }
}
)css";

// Replaces only sections that differ, so that focus, selection and what a screen reader reads stay where they are.
inline constexpr std::string_view kStatusScript = R"js(
(function () {
  var main = document.getElementById('main'), live = document.getElementById('live');
  if (!window.EventSource) return;
  var source = new EventSource('status/stream');
  var heard = Date.now();
  source.onmessage = function (event) {
    heard = Date.now();
    var box = document.createElement('template');
    box.innerHTML = event.data;
    box.content.querySelectorAll('section[id]').forEach(function (fresh) {
      var old = document.getElementById(fresh.id);
      if (!old) main.appendChild(fresh);
      else if (old.outerHTML !== fresh.outerHTML) old.replaceWith(fresh);
    });
    live.textContent = 'live';
  };
  setInterval(function () {
    if (Date.now() - heard > 5000) live.textContent = 'no news for ' + Math.round((Date.now() - heard) / 1000) + ' s';
  }, 1000);
})();
)js";

}  // namespace anypop::healthmon
