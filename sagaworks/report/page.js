// The report in the browser: finds among many sagas, and paints diagrams. It asks nobody for anything.
'use strict';
(() => {
  const began = performance.now();
  const data = JSON.parse(document.getElementById('data').textContent);
  const { diagrams, texts, shapes, sagas, paints, meanings } = data;
  const PASSES = 0;
  const STILL = -1;
  const ROW = 44;
  const MORE_ROWS = 6;
  const FATES = ['done', 'undone', 'running', 'stuck', 'cancelled'];
  const FATE_STATES = { running: 'waiting', cancelled: 'taken_away' };
  const WORST_FIRST = ['in_doubt', 'stuck', 'waiting', 'refused', 'taken_away', 'undone', 'done'];
  const HEATS = ['#eef4fb', '#cfe3f7', '#9ccaf0', '#f7cf8f', '#f2a36b'];
  const HEAT_LINES = ['#8fa3b8', '#5f97d0', '#2467b3', '#b8741f', '#b84a14'];
  const INK = '#22242a';

  const $ = (id) => document.getElementById(id);
  const [KEY, SHAPE, BEGAN, TOOK, TIMES, NOTE] = [0, 1, 2, 3, 4, 5];

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // What the page is about.

  const words = shapes.map((shape) => shape[3].map((run) => texts[run[2]]).join(' ').toLowerCase());
  const passed = shapes.map((shape) => new Set([...shape[3], ...shape[4]].map((one) => one[0])));
  const keys = sagas.map((saga) => `${saga[KEY]} ${texts[saga[NOTE]]}`.toLowerCase());
  const fateOf = (saga) => texts[shapes[saga[SHAPE]][1]];
  const diagramOf = (saga) => shapes[saga[SHAPE]][0];
  const stateOfFate = (fate) => FATE_STATES[fate] ?? fate;

  const state = {
    search: '', order: 'first', fates: new Set(), element: null, diagram: 0, view: 'runs',
    chosen: null, found: [],
  };

  function span(ms) {
    if (ms === STILL) return 'still';
    if (ms < 1000) return `${ms} ms`;
    if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
    const minutes = Math.floor(ms / 60_000);
    if (minutes < 60) return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`;
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
  }

  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  const number = new Intl.NumberFormat();
  const several = (count, one) => `${number.format(count)} ${one}${count === 1 ? '' : 's'}`;

  // Finding.

  const ORDERS = {
    first: (a, b) => sagas[a][BEGAN] - sagas[b][BEGAN] || a - b,
    last: (a, b) => sagas[b][BEGAN] - sagas[a][BEGAN] || b - a,
    longest: (a, b) => sagas[b][TOOK] - sagas[a][TOOK] || a - b,
    key: (a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b),
  };

  function find() {
    const { search, fates, diagram, element: through } = state;
    state.found = [];
    for (let i = 0; i < sagas.length; i += 1) {
      const saga = sagas[i];
      if (diagramOf(saga) !== diagram) continue;
      if (fates.size && !fates.has(fateOf(saga))) continue;
      if (through !== null && !passed[saga[SHAPE]].has(through)) continue;
      if (search && !keys[i].includes(search) && !words[saga[SHAPE]].includes(search)) continue;
      state.found.push(i);
    }
    state.found.sort(ORDERS[state.order]);
  }

  // The list holds a row for what is seen, and a few more.

  const list = $('list');
  const room = $('room');
  const rows = new Map();

  function row(place) {
    const index = state.found[place];
    const saga = sagas[index];
    const fate = fateOf(saga);
    const more = texts[saga[NOTE]] || clock.format(saga[BEGAN]);
    const made = element(
      'div',
      {
        class: 'saga', role: 'option', id: `saga-${index}`, 'aria-posinset': place + 1,
        'aria-setsize': state.found.length, 'aria-selected': index === state.chosen,
      },
      element('span', {}, saga[KEY]),
      element('span', { class: 'fate', style: `--of-fate:${paints[stateOfFate(fate)][1]}` }, fate),
      element('small', {}, more),
      element('small', {}, span(saga[TOOK])),
    );
    made.style.top = `${place * ROW}px`;
    made.addEventListener('click', () => choose(place));
    return made;
  }

  function showRows() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - MORE_ROWS);
    const last = Math.min(state.found.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + MORE_ROWS);
    for (const [place, made] of rows) {
      if (place < first || place >= last) {
        made.remove();
        rows.delete(place);
      }
    }
    for (let place = first; place < last; place += 1) {
      if (!rows.has(place)) {
        const made = row(place);
        rows.set(place, made);
        room.append(made);
      }
    }
    const at = state.found.indexOf(state.chosen);
    if (rows.has(at)) list.setAttribute('aria-activedescendant', rows.get(at).id);
    else list.removeAttribute('aria-activedescendant');
  }

  function showList() {
    rows.clear();
    room.replaceChildren();
    room.style.height = `${state.found.length * ROW}px`;
    $('empty').hidden = state.found.length > 0;
    showRows();
  }

  let scrolling = 0;
  list.addEventListener('scroll', () => {
    scrolling ||= requestAnimationFrame(() => { scrolling = 0; showRows(); });
  });
  new ResizeObserver(showRows).observe(list);

  function choose(place) {
    if (!state.found.length) return;
    const at = Math.min(Math.max(place, 0), state.found.length - 1);
    state.chosen = state.found[at];
    const top = at * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    for (const [shown, made] of rows) made.setAttribute('aria-selected', state.found[shown] === state.chosen);
    showRows();
    paintSoon();
  }

  function chooseNone() {
    state.chosen = null;
    for (const made of rows.values()) made.setAttribute('aria-selected', false);
    list.removeAttribute('aria-activedescendant');
    paintSoon();
  }

  list.addEventListener('keydown', (event) => {
    const at = state.found.indexOf(state.chosen);
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const to = {
      ArrowDown: at + 1, ArrowUp: Math.max(at, 1) - 1, PageDown: at + page, PageUp: at - page,
      Home: 0, End: state.found.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  });

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && (state.chosen !== null || state.element !== null)) {
      state.element = null;
      chooseNone();
      search();
    } else if (event.key === '/' && !/INPUT|SELECT/.test(document.activeElement.tagName)) {
      event.preventDefault();
      $('search').focus();
    }
  });

  // Adding up.

  function percentile(sorted, share) {
    return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))];
  }

  // Returns for the sagas found: by id, how often it ran, in which states, and how long; flows; undos.
  function added() {
    const times = new Map();
    const count = new Map();
    const wayCounts = new Map();
    for (const index of state.found) {
      const saga = sagas[index];
      wayCounts.set(saga[SHAPE], (wayCounts.get(saga[SHAPE]) ?? 0) + 1);
      let at = 0;
      for (const [id, , , pace] of shapes[saga[SHAPE]][3]) {
        if (pace === PASSES) continue;
        const took = saga[TIMES][at + 1];
        at += 2;
        if (took === STILL) continue;
        let known = times.get(id);
        if (!known) times.set(id, known = []);
        known.push(took);
      }
    }
    const flows = new Map();
    const undos = new Map();
    for (const [shape, sagasOfIt] of wayCounts) {
      const [, , , runs, taken, undone] = shapes[shape];
      for (const [id, text, code, pace] of runs) {
        let of = count.get(id);
        if (!of) count.set(id, of = { runs: 0, states: {}, codes: new Map(), pace });
        of.runs += sagasOfIt;
        of.states[texts[text]] = (of.states[texts[text]] ?? 0) + sagasOfIt;
        if (texts[code]) of.codes.set(texts[code], (of.codes.get(texts[code]) ?? 0) + sagasOfIt);
      }
      for (const [id, n] of taken) flows.set(id, (flows.get(id) ?? 0) + n * sagasOfIt);
      for (const [a, b, n] of undone) undos.set(`${a} ${b}`, (undos.get(`${a} ${b}`) ?? 0) + n * sagasOfIt);
    }
    for (const [id, known] of times) {
      const sorted = Int32Array.from(known, (ms) => Math.min(ms, 2 ** 31 - 1)).sort();
      Object.assign(count.get(id), { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), longest: sorted.at(-1) });
    }
    return { count, flows, undos };
  }

  const completed = (of) => (of ? (of.states.done ?? 0) + (of.states.undone ?? 0) : 0);

  // Painting.

  const style = document.head.appendChild(document.createElement('style'));
  const colours = (name, fill, line) => `
    .is-${name} .djs-visual > :is(rect, circle, polygon) { stroke: ${line} !important; }
    .is-${name} .djs-visual > :is(rect, circle, polygon):first-child { fill: ${fill} !important; fill-opacity: 1 !important; }
    .djs-connection.is-${name} .djs-visual > path { stroke: ${line} !important; stroke-width: 2.6px !important; }`;
  style.textContent = [
    ...Object.entries(paints).map(([name, [fill, line]]) => colours(name, fill, line)),
    ...HEATS.map((fill, at) => colours(`heat-${at}`, fill, HEAT_LINES[at])),
    '.is-scope.djs-element .djs-visual > rect:first-child { fill-opacity: .3 !important; }',
    '.djs-connection.is-missed .djs-visual > path { stroke-dasharray: 7 5 !important; }',
  ].join('');

  let viewer = null;
  let drawn = null;
  let marked = [];

  async function drawDiagram() {
    if (drawn === state.diagram) return;
    drawn = state.diagram;
    marked = [];
    viewer?.destroy();
    viewer = null;
    const { xml } = diagrams[drawn] ?? {};
    if (!xml) {
      $('canvas').replaceChildren(element('p', { class: 'unknown' }, "The diagram of these sagas isn't known: history has not seen it deployed."));
      return;
    }
    $('canvas').replaceChildren();
    viewer = new BpmnJS({ container: $('canvas') });
    try {
      await viewer.importXML(xml);
    } catch (error) {
      viewer.destroy();
      viewer = null;
      $('canvas').replaceChildren(element('p', { class: 'unknown' }, "This diagram can't be drawn: it has no layout."));
      return;
    }
    fit();
    viewer.get('eventBus').on('element.click', ({ element: clicked }) => {
      const id = diagrams[drawn].ids.indexOf(clicked.id.replace(/_label$/, ''));
      if (id >= 0 && state.chosen === null) goThrough(id);
    });
  }

  function fit() {
    if (!viewer) return;
    const canvas = viewer.get('canvas');
    canvas.zoom('fit-viewport', 'auto');
    if (canvas.zoom() > 1) canvas.zoom(1, 'auto');
    // A little room, for the badges at the corners.
    const box = canvas.viewbox();
    canvas.viewbox({ x: box.x - box.width * 0.015, y: box.y - box.height * 0.03, width: box.width * 1.03, height: box.height * 1.06 });
  }

  function clear() {
    if (!viewer) return;
    const canvas = viewer.get('canvas');
    for (const [id, name] of marked) canvas.removeMarker(id, name);
    marked = [];
    viewer.get('overlays').clear();
  }

  function mark(number_, name, badge) {
    const id = diagrams[drawn].ids[number_];
    const shape = viewer?.get('elementRegistry').get(id);
    if (!shape) return;
    const canvas = viewer.get('canvas');
    const names = [`is-${name}`, ...(shape.children?.length ? ['is-scope'] : [])];
    for (const one of names) {
      canvas.addMarker(id, one);
      marked.push([id, one]);
    }
    const overlays = viewer.get('overlays');
    if (badge && !shape.waypoints) {
      const made = element('div', { class: 'badge' }, badge);
      made.style.background = paints[name]?.[1] ?? INK;
      overlays.add(id, { position: cornerOf(shape, badge), html: made });
    }
  }

  // A boundary event has its badge below, where the name of what it stands on isn't.
  function cornerOf(shape, badge) {
    if (shape.host) return { bottom: 9, left: shape.width - 3 };
    const above = badge.length > (shape.width > 50 ? 6 : 2);
    return { top: above ? -19 : -11, right: Math.min(badge.length, 20) * 6 + 8 };
  }

  function paintWay() {
    const saga = sagas[state.chosen];
    const [, , , runs, flows] = shapes[saga[SHAPE]];
    const byId = new Map();
    const steps = [];
    let at = 0;
    for (const [id, text, code, pace] of runs) {
      const run = { id, state: texts[text], code: texts[code], pace };
      if (pace !== PASSES) {
        [run.began, run.took] = saga[TIMES].slice(at, at + 2);
        at += 2;
        steps.push(run);
      }
      if (!byId.has(id)) byId.set(id, []);
      byId.get(id).push(run);
    }
    steps.sort((a, b) => a.began - b.began || a.pace - b.pace || a.id - b.id);
    let count = 0;
    const numbers = new Map();
    for (const run of steps) {
      if (run.pace === 2 && !numbers.has(run.id)) numbers.set(run.id, count += 1);
    }
    const back = byBackward(byId);
    for (const [id, times] of flows) mark(id, back.has(id) ? 'undone' : 'done', times > 1 ? `${times} times` : '');
    const seen = new Set();
    for (const [id, of] of byId) {
      const worst = WORST_FIRST.find((name) => of.some((run) => run.state === name));
      const alike = of.filter((run) => run.state === worst);
      const times = alike.length < of.length ? `${alike.length} of ${of.length}` : `${of.length} times`;
      const label = of.length > 1 ? times : `${numbers.get(id) ?? ''}`;
      const code = worst === 'stuck' ? 'incident' : alike[0].code;
      mark(id, worst, `${label} ${code}`.trim());
      seen.add(worst);
    }
    legend(Object.keys(meanings).filter((name) => seen.has(name)).map((name) => [meanings[name], ...paints[name]]));
    return steps;
  }

  // A flow is on the way back where what it leaves was passed only to undo.
  function byBackward(byId) {
    const back = new Set();
    const registry = viewer?.get('elementRegistry');
    const { ids } = diagrams[drawn];
    ids.forEach((id, flow) => {
      const source = registry?.get(id)?.source;
      const of = source && byId.get(ids.indexOf(source.id));
      if (of?.every((run) => run.state === 'undone') && source.parent?.businessObject.triggeredByEvent) back.add(flow);
    });
    return back;
  }

  function heat(value, most) {
    if (!value) return null;
    return Math.min(HEATS.length - 1, Math.floor(Math.sqrt(value / (most || 1)) * HEATS.length * 0.999));
  }

  function paintHeat({ count, flows }) {
    const byTime = state.view === 'time';
    const measure = (of) => (byTime ? of.p99 : of.runs);
    const most = Math.max(1, ...[...count.values()].map(measure).filter(Boolean));
    for (const [id, of] of count) {
      const hot = heat(measure(of), most);
      if (byTime && of.p50 === undefined) continue;
      const said = byTime ? `${span(of.p50)} / ${span(of.p99)}` : number.format(of.runs);
      mark(id, hot === null ? 'none' : `heat-${hot}`, said);
    }
    const busiest = Math.max(1, ...flows.values());
    for (const [id, times] of flows) mark(id, `heat-${heat(times, busiest)}`);
    const what = byTime ? 'p50 / p99 of each step' : 'how often each ran';
    legend(HEATS.map((fill, at) => [at === 0 ? `${what}: least` : at === HEATS.length - 1 ? 'most' : '', fill, HEAT_LINES[at]]));
  }

  function paintCoverage({ count, flows, undos }) {
    const { elements = [], flows: paths = [], undos: known = [] } = diagrams[drawn] ?? {};
    const partly = new Map();
    for (const [throws, activity] of known) {
      const of = partly.get(throws) ?? [0, 0];
      partly.set(throws, [of[0] + (undos.get(`${throws} ${activity}`) ? 1 : 0), of[1] + 1]);
    }
    for (const id of elements) {
      const times = completed(count.get(id));
      const [undone, all] = partly.get(id) ?? [0, 0];
      if (times && undone < all) mark(id, 'partly', `${undone}/${all}`);
      else mark(id, times ? 'covered' : 'missed', number.format(times));
    }
    for (const id of paths) mark(id, flows.get(id) ? 'covered' : 'missed');
    legend([
      ['gone through, and how often', ...paints.covered],
      ['a throw event that did not undo all that it can', ...paints.partly],
      ['never gone through', ...paints.missed],
    ]);
  }

  function legend(entries) {
    $('legend').replaceChildren(...entries.map(([text, fill, line]) => {
      const key = element('span');
      key.style.background = fill;
      key.style.borderColor = line;
      return element('li', {}, key, text);
    }));
  }

  // Tables.

  function table(caption, heads, lines) {
    const head = element('tr', {}, ...heads.map(([text, kind]) => element('th', { scope: 'col', class: kind ?? false }, text)));
    const body = lines.map((cells) => element('tr', {}, ...cells.map((cell, at) => element('td', { class: heads[at][1] ?? false }, cell))));
    return [element('h3', {}, caption), element('table', {}, element('thead', {}, head), element('tbody', {}, ...body))];
  }

  const nameOf = (id) => diagrams[drawn].names?.[id] || diagrams[drawn].ids[id];

  function stateCell(name) {
    return element('span', { class: 'fate', style: `--of-fate:${paints[name][1]}` }, meanings[name] ?? name);
  }

  function wayTable(steps) {
    const saga = sagas[state.chosen];
    const lines = steps.map((run, at) => [
      `${at + 1}`, nameOf(run.id), stateCell(run.state), run.code, `+${span(run.began)}`, span(run.took),
    ]);
    const [, , incidents] = shapes[saga[SHAPE]];
    const trouble = incidents.map(([id, kind, resolved]) => [nameOf(id), texts[kind], resolved ? 'resolved' : 'open']);
    const facts = [
      `begun ${clock.format(saga[BEGAN])}`,
      saga[TOOK] === STILL ? 'not ended' : `took ${span(saga[TOOK])}`,
      several(incidents.length, 'incident'),
      ...(texts[saga[NOTE]] ? [texts[saga[NOTE]]] : []),
    ];
    return [
      element('p', {}, facts.join(' · ')),
      ...table('Its steps', [['#'], ['step', 'word'], ['state', 'word'], ['code', 'word'], ['begun'], ['took']], lines),
      ...(trouble.length ? table('Its incidents', [['at', 'word'], ['kind', 'word'], ['', 'word']], trouble) : []),
    ];
  }

  function through(id) {
    const made = element('button', { type: 'button', title: 'show the sagas that went through it' }, nameOf(id));
    made.addEventListener('click', () => goThrough(id));
    return made;
  }

  function stepTables({ count, undos }) {
    const { handlers = [], undos: known = [] } = diagrams[drawn] ?? {};
    const lines = [...count].filter(([, of]) => of.pace !== PASSES).sort(([a], [b]) => a - b).map(([id, of]) => [
      through(id), number.format(of.runs), number.format(of.states.undone ?? 0), number.format(of.states.refused ?? 0),
      [...of.codes].map(([code, n]) => `${code} ${number.format(n)}`).join(', '),
      of.p50 === undefined ? '' : span(of.p50), of.p99 === undefined ? '' : span(of.p99),
      of.longest === undefined ? '' : span(of.longest),
    ]);
    const heads = [['step', 'word'], ['runs'], [handlers.length ? 'undone or undoing' : 'undone'], ['refused'], ['codes', 'word wide'], ['p50'], ['p99'], ['longest']];
    const paths = known.map(([a, b]) => [nameOf(a), nameOf(b), number.format(undos.get(`${a} ${b}`) ?? 0)]);
    return [
      ...table('Steps of these sagas', heads, lines),
      ...(paths.length ? table('Compensations', [['thrown by', 'word'], ['undoes', 'word'], ['times']], paths) : []),
    ];
  }

  function shares({ count, flows, undos }) {
    const { elements = [], flows: paths = [], undos: known = [] } = diagrams[drawn] ?? {};
    const covered = [
      ['elements', elements.filter((id) => completed(count.get(id))).length, elements.length],
      ['flows', paths.filter((id) => flows.get(id)).length, paths.length],
      ['compensations', known.filter(([a, b]) => undos.get(`${a} ${b}`)).length, known.length],
    ];
    return covered.map(([what, some, all]) => `${some}/${all} ${what}`).join(', ');
  }

  let painting = 0;
  function paintSoon() {
    painting ||= requestAnimationFrame(() => { painting = 0; paint(); });
  }

  function paint() {
    if (!diagrams.length) return;
    clear();
    for (const button of document.querySelectorAll('[data-view]')) button.disabled = state.chosen !== null;
    if (state.chosen === null) {
      const sum = added();
      if (state.view === 'coverage') paintCoverage(sum);
      else paintHeat(sum);
      $('whose').textContent = `${several(state.found.length, 'saga')}: ${shares(sum)}`;
      $('tables').replaceChildren(...stepTables(sum));
    } else {
      const saga = sagas[state.chosen];
      const steps = paintWay();
      $('whose').textContent = `${saga[KEY]}: ${fateOf(saga)}`;
      $('tables').replaceChildren(...wayTable(steps));
    }
    document.documentElement.dataset.painted = state.chosen === null ? state.view : sagas[state.chosen][KEY];
  }

  // What people do.

  function search() {
    find();
    if (state.chosen !== null && !state.found.includes(state.chosen)) state.chosen = null;
    list.scrollTop = 0;
    showList();
    showThrough();
    for (const button of $('fates').children) button.setAttribute('aria-pressed', state.fates.has(button.dataset.fate));
    $('summary').textContent = `${several(sagas.length, 'saga')} on ${several(diagrams.length, 'diagram')}; ${number.format(state.found.length)} shown`;
    paintSoon();
  }

  function showThrough() {
    const shown = $('through');
    shown.hidden = state.element === null;
    if (state.element === null) return;
    const button = element('button', { type: 'button' }, 'all');
    button.addEventListener('click', () => { state.element = null; search(); });
    shown.replaceChildren('through ', element('strong', {}, nameOf(state.element)), ' ', button);
  }

  function goThrough(id) {
    state.element = id;
    search();
  }

  async function show(diagram) {
    state.diagram = diagram;
    state.element = null;
    state.chosen = null;
    await drawDiagram();
    search();
  }

  let typing = 0;
  $('search').addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => { state.search = $('search').value.trim().toLowerCase(); search(); }, 60);
  });
  $('search').addEventListener('keydown', (event) => {
    if (event.key === 'ArrowDown') { event.preventDefault(); list.focus(); choose(0); }
  });
  $('order').addEventListener('change', () => { state.order = $('order').value; search(); });
  $('diagram').addEventListener('change', () => show(Number($('diagram').value)));
  $('views').addEventListener('click', ({ target }) => {
    if (!target.dataset.view) return;
    state.view = target.dataset.view;
    for (const button of $('views').children) button.setAttribute('aria-pressed', button === target);
    paintSoon();
  });
  $('zoom').addEventListener('click', ({ target }) => {
    if (!viewer || !target.dataset.zoom) return;
    if (target.dataset.zoom === 'fit') fit();
    else viewer.get('zoomScroll').stepZoom(target.dataset.zoom === 'in' ? 1 : -1);
  });
  new ResizeObserver(() => { viewer?.get('canvas').resized(); }).observe($('canvas'));

  function fateButtons() {
    const there = FATES.filter((fate) => sagas.some((saga) => fateOf(saga) === fate));
    $('fates').replaceChildren(...there.map((fate) => {
      const count = sagas.filter((saga) => fateOf(saga) === fate).length;
      const button = element('button', { type: 'button', 'data-fate': fate, 'aria-pressed': false },
        element('span', { class: 'fate', style: `--of-fate:${paints[stateOfFate(fate)][1]}` }, `${fate} ${number.format(count)}`));
      button.addEventListener('click', () => {
        if (!state.fates.delete(fate)) state.fates.add(fate);
        search();
      });
      return button;
    }));
  }

  fateButtons();
  const twice = (one) => diagrams.filter((other) => other.process === one.process).length > 1;
  $('diagram').replaceChildren(...diagrams.map((one, at) => element('option', { value: at },
    twice(one) ? `${one.process} version ${one.version || '?'}` : one.process)));
  $('choosing').hidden = diagrams.length < 2;
  if (!diagrams.length) $('whose').textContent = 'No saga was seen, and no diagram.';
  show(0).then(() => requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.ready = String(Math.round(performance.now() - began));
  })));
})();
