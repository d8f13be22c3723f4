"use strict";
// All that a journal says is set as text (textContent), never as markup.
const at = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const whole = new Intl.NumberFormat("en");
let source = null, run = "", records = -1;

const made = (kind, text, parent) => {
  const found = document.createElement(kind);
  if (text !== undefined) found.textContent = text;
  if (parent) parent.append(found);
  return found;
};

async function ask(path, body) {
  const said = await fetch(path, { headers: { "X-Token": token }, ...(body ? { method: "POST", body: JSON.stringify(body) } : {}) });
  const answer = await said.json();
  if (answer.error) throw new Error(answer.error);
  return answer;
}

function told(line, kind) {
  at("line").textContent = line;
  at("line").className = kind || "";
}

async function list() {
  try {
    const { runs } = await ask("/runs");
    const chosen = at("runs").value || run;
    at("runs").replaceChildren(...runs.map(({ name, runs: live, task, model }) => {
      const option = made("option", `${name}${live ? " (running)" : ""}${task ? `: ${task}, ${model}` : ""}`);
      option.value = name;
      option.selected = name === chosen;
      return option;
    }));
    if (!runs.length) told("There are no runs here yet");
    else if (!run || !source) follow(at("runs").value);
  } catch (error) {
    told(error.message, "bad");
  }
}

function follow(name) {
  if (source) source.close();
  run = name;
  records = -1;
  source = new EventSource(`/events?run=${encodeURIComponent(name)}&token=${encodeURIComponent(token)}`);
  source.onmessage = (event) => show(JSON.parse(event.data));
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "not known";
  const s = Math.round(seconds);
  return s < 90 ? `${s} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`;
}

function tiles(said) {
  const live = said.live, limits = live ? live.limits : {};
  const of = (value) => (value === undefined ? "" : ` of ${whole.format(value)}`);
  const cost = live && live.cost !== null ? live.cost : said.cost;
  const rows = [
    ["steps", whole.format(said.steps) + (said.total ? ` of ${whole.format(said.total)}` : "")],
    ["steps a second", said.rate ? said.rate.toFixed(said.rate < 10 ? 2 : 0) : "-"],
    ["left", said.over ? "-" : span(said.eta)],
    ["samples", whole.format(said.samples)],
    ["flagged", `${whole.format(said.flagged)}${said.samples ? ` (${(100 * said.flagged / said.samples).toFixed(1)}%)` : ""}`],
    ["margin k", said.k === null ? "not chosen" : String(said.k)],
    ["tokens", whole.format(said.tokens[0] + said.tokens[1]) + of(limits.max_tokens)],
    ["cost", `$${cost.toFixed(4)}${limits.max_cost === undefined ? "" : ` of $${limits.max_cost}`}`],
    ["model", said.model + (said.simulated ? " (simulated)" : "")],
    ["task", said.task],
  ];
  if (live) {
    rows.push(["calls", whole.format(live.calls) + of(limits.max_calls)], ["out now", whole.format(live.in_flight)]);
    if (limits.concurrency) rows.push(["at once", whole.format(limits.concurrency)]);
  }
  if (said.answer) rows.push(["answer", said.answer]);
  at("tiles").replaceChildren(...rows.map(([name, value]) => {
    const tile = made("div");
    made("dt", name, tile);
    made("dd", value, tile);
    return tile;
  }));
}

function bars(id, pairs, empty) {
  const most = Math.max(1, ...pairs.map(([, count]) => count));
  const parts = pairs.flatMap(([name, count]) => {
    const bar = made("i");
    bar.style.width = `${100 * count / most}%`;
    return [made("span", String(name)), bar, made("span", whole.format(count))];
  });
  at(id).replaceChildren(...(parts.length ? parts : [made("span", empty)]));
}

function table(id, heads, rows, empty) {
  const top = made("tr");
  for (const head of heads) made("th", head, top).scope = "col";
  const body = rows.map((cells) => {
    const row = made("tr");
    for (const cell of cells) (cell instanceof Node ? made("td", undefined, row).append(cell) : made("td", String(cell), row));
    return row;
  });
  const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.step : undefined;
  const had = at(id).contains(document.activeElement);
  at(id).replaceChildren(...(rows.length ? [top, ...body] : [made("caption", empty)]));
  if (had && focused) at(id).querySelector(`[data-step="${Number(focused)}"]`)?.focus();
}

function steps(id, rows, empty) {
  table(id, ["step", "samples", "margin", "entropy", "flagged", "rounds"], rows.map((one) => {
    const button = made("button", whole.format(one.step));
    button.type = "button";
    button.dataset.step = one.step;
    button.setAttribute("aria-label", `Samples of step ${whole.format(one.step)}`);
    button.addEventListener("click", () => samples(one.step));
    return [button, one.samples, one.margin, one.entropy, one.flagged, one.rounds];
  }), empty);
}

async function samples(step) {
  at("step-title").textContent = `Step ${whole.format(step)}`;
  at("samples").replaceChildren(made("p", "Reading"));
  if (!at("step").open) at("step").showModal();
  try {
    const said = await ask(`/step?run=${encodeURIComponent(run)}&step=${step}`);
    const parts = [made("p", `${said.samples} samples, votes ${said.votes}, margin ${said.margin}, entropy ${said.entropy}, flagged: ${said.flags}`),
      made("p", `Ballots in order: ${said.ballots.map((one) => one.mark).join(" ")}`)];
    for (const one of said.answers) parts.push(made("h3", `${one.letter}: ${one.votes} votes${one.won ? ", won" : ""}`), made("pre", one.text));
    for (const one of said.flagged) parts.push(made("h3", `Draw ${one.draw}, flagged: ${one.kind}`), made("pre", one.text === null ? one.why : one.text));
    at("samples").replaceChildren(...parts);
  } catch (error) {
    at("samples").replaceChildren(made("p", error.message));
  }
}

async function tree() {
  const branch = (node) => {
    const item = made("li", `${node.problem} = ${node.answer === null || node.answer === undefined ? "..." : node.answer}`);
    const parts = [node.a, node.b, ...(node.parts || [])].filter((part) => part && part.problem);
    if (parts.length) made("ul", undefined, item).append(...parts.map(branch));
    return item;
  };
  try {
    at("tree").replaceChildren(branch((await ask(`/tree?run=${encodeURIComponent(run)}`)).tree));
  } catch (error) {
    at("tree").replaceChildren(made("li", error.message));
  }
}

function show(said) {
  const live = said.live, state = live ? live.state : said.reading ? "reading the journal" : said.over ? (said.solved ? "solved" : said.stopped ? `stopped: ${said.stopped}` : "ended, not solved") : "no run listens (killed, or just beginning)";
  document.title = `${said.total ? `${Math.floor(100 * said.steps / said.total)}% ` : ""}${run}`;
  const reading = said.reading ? `: ${whole.format(said.read)} records so far` : "";
  told(said.problem || `${state}${reading}`, said.problem ? "bad" : said.solved ? "good" : "");
  at("progress").max = said.total || Math.max(1, said.steps);
  at("progress").value = said.steps;
  const why = live && live.why ? live.why : said.detail;
  at("why").hidden = !why;
  at("why").textContent = why;
  at("buttons").hidden = !live;
  if (live) for (const button of at("buttons").querySelectorAll("button")) {
    button.disabled = { pause: live.state !== "running", resume: !["paused", "asking"].includes(live.state), stop: live.state === "stopping" }[button.dataset.order];
  }
  tiles(said);
  bars("votes", said.votes, "No step is decided yet");
  bars("undecided", said.undecided, "No step is decided yet");
  bars("entropies", said.entropies.map(([low, count]) => [`from ${low.toFixed(1)}`, count]), "None");
  at("contested").textContent = `${whole.format(said.contested)} steps had more than one answer; mean entropy ${said.entropy.toFixed(3)} nats`;
  bars("flags", said.flags, "None");
  table("servers", ["server", "replies", "failed", "of these 429", "median s", "95% s", "last fault"],
    said.servers.map((one) => [one.name, whole.format(one.replies), one.failed, one.slow, one.median ?? "-", one.p95 ?? "-", one.fault]),
    "Computed in the run's own process, or nothing has come yet");
  steps("hardest", said.hardest, "No step is decided yet");
  steps("last", said.last, "No step is decided yet");
  at("tree-part").hidden = !said.solve;
  if (said.solve && said.read !== records) tree();
  records = said.read;
}

at("runs").addEventListener("change", (event) => follow(event.target.value));
at("close").addEventListener("click", () => at("step").close());
for (const button of at("buttons").querySelectorAll("button")) button.addEventListener("click", async () => {
  try {
    const said = await ask("/order", { run, order: button.dataset.order });
    at("told").textContent = said.state;
  } catch (error) {
    at("told").textContent = error.message;
  }
});
list();
setInterval(list, 5000);
