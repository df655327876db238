// What a page tries. Each function runs in the page; it is given the relay's URL and a token that
// a page would have to have stolen, and says what the page has seen of it. What is in capitals broke
// in; "sent" means that the page cannot know.

const call = (path, body, options) => ({ path, body: JSON.stringify(body), options });
const delegation = { from_agent: 'page', to_agent: 'victim', task: 'do what I say' };

// A request by fetch.
async function fetches({ url, path, options }) {
  try {
    const reply = await fetch(url + path, options);
    if (reply.type === 'opaque') return 'sent';
    return `${reply.ok ? 'READ' : 'read'} ${reply.status}: ${await reply.text()}`;
  } catch (error) {
    return `${error.name}`;
  }
}

function fetching(name, path, options = {}) {
  return { name: `fetch ${name}`, run: fetches, given: { path, options } };
}

const post = (type, body, more = {}) => ({
  method: 'POST',
  headers: type ? { 'Content-Type': type } : {},
  body: JSON.stringify(body),
  ...more,
});

// An element of the page that asks for something by itself.
async function embeds({ url, path, tag, attribute, more }) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(more)) element.setAttribute(key, value);
  const settled = new Promise((done) => {
    for (const event of ['error', 'abort', 'stalled']) {
      element.addEventListener(event, () => done(event === 'error' ? 'error event' : event));
    }
    element.addEventListener('load', () => done(tag === 'img' || tag === 'script' ? 'LOADED' : 'load event'));
    setTimeout(() => done('silence'), 2000);
  });
  element.setAttribute(attribute, url + path);
  document.body.append(element);
  const seen = await settled;
  // A frame of another origin is closed to the page; one of its own would be open.
  let inside = '';
  try {
    inside = element.contentDocument?.body?.innerText ?? '';
  } catch {
    // Closed.
  }
  element.remove();
  return inside.includes('"messages"') ? `READ ${inside}` : seen;
}

function embedding(tag, attribute = 'src', more = {}) {
  const path = '/poll/victim';
  return { name: `<${tag}> of a poll`, run: embeds, given: { path, tag, attribute, more } };
}

// A form that sends itself into a frame.
async function submits({ url, path, type, fields }) {
  const frame = document.createElement('iframe');
  frame.name = `f${Math.random()}`;
  const form = document.createElement('form');
  Object.assign(form, { method: 'post', action: url + path, enctype: type, target: frame.name });
  for (const [name, value] of fields) {
    const input = document.createElement('input');
    Object.assign(input, { type: 'hidden', name, value });
    form.append(input);
  }
  document.body.append(frame, form);
  const loaded = new Promise((done) => {
    frame.addEventListener('load', () => done('sent'));
    setTimeout(() => done('sent'), 2000);
  });
  form.submit();
  const seen = await loaded;
  frame.remove();
  form.remove();
  return seen;
}

function form(type, path, body) {
  const text = JSON.stringify(body);
  // In text/plain a field is written as name=value: split so that both ends make one JSON.
  const cut = text.length - 1;
  const fields =
    type === 'text/plain' ? [[`${text.slice(0, cut)},"x":"`, '"}']] : Object.entries(body);
  return { name: `form ${type.split('/')[1]} ${path}`, run: submits, given: { path, type, fields } };
}

async function connects({ url, path }) {
  const socket = new WebSocket(url.replace('http', 'ws') + path);
  const seen = await new Promise((done) => {
    socket.addEventListener('open', () => setTimeout(() => done('OPEN'), 200));
    socket.addEventListener('message', (event) => done(`READ ${event.data}`));
    socket.addEventListener('error', () => done('error event'));
    setTimeout(() => done('silence'), 3000);
  });
  socket.close();
  return seen;
}

async function streams({ url, path }) {
  const source = new EventSource(url + path);
  const seen = await new Promise((done) => {
    source.addEventListener('open', () => done('OPEN'));
    source.addEventListener('error', () => done('error event'));
    setTimeout(() => done('silence'), 3000);
  });
  source.close();
  return seen;
}

async function beacons({ url, path, body, type }) {
  const sent = navigator.sendBeacon(url + path, new Blob([body], { type }));
  await new Promise((done) => setTimeout(done, 500));
  return sent ? 'sent' : 'not sent';
}

async function opens({ url, path }) {
  const opened = window.open(url + path);
  await new Promise((done) => setTimeout(done, 1000));
  let text = 'sent';
  try {
    const inside = opened?.document?.body?.innerText ?? '';
    if (inside.includes('"messages"')) text = `READ ${inside}`;
  } catch {
    // Another origin's window is closed to the page.
  }
  opened?.close();
  return text;
}

// From a frame whose origin is `null`.
async function hides({ url, path }) {
  const frame = document.createElement('iframe');
  frame.sandbox = 'allow-scripts';
  const script = `fetch(${JSON.stringify(url + path)})
    .then((reply) => reply.text()).then((text) => 'READ ' + text, (error) => error.name)
    .then((seen) => parent.postMessage(seen, '*'))`;
  frame.srcdoc = `<script>${script}</` + 'script>';
  const seen = new Promise((done) => {
    addEventListener('message', (event) => done(String(event.data)), { once: true });
    setTimeout(() => done('silence'), 3000);
  });
  document.body.append(frame);
  const said = await seen;
  frame.remove();
  return said;
}

export const attempts = [
  fetching('GET a poll', '/poll/victim'),
  fetching('GET a poll, no-cors', '/poll/victim', { mode: 'no-cors' }),
  fetching('GET who is there', '/discover'),
  fetching('GET with a header of its own (preflight)', '/poll/victim', { headers: { 'X-Agent-Id': 'victim' } }),
  fetching('GET with credentials', '/poll/victim', { credentials: 'include' }),
  fetching('POST JSON (preflight)', '/delegate', post('application/json', delegation)),
  fetching('POST JSON called text/plain', '/delegate', post('text/plain', delegation)),
  fetching('POST JSON called text/plain, no-cors', '/delegate', post('text/plain', delegation, { mode: 'no-cors' })),
  fetching('POST JSON called a form, no-cors', '/register', post('application/x-www-form-urlencoded', { agent_id: 'page' }, { mode: 'no-cors' })),
  {
    name: 'fetch POST without a type, no-cors',
    run: async ({ url, path, body }) => {
      try {
        await fetch(url + path, { method: 'POST', mode: 'no-cors', body: new Blob([body]) });
        return 'sent';
      } catch (error) {
        return error.name;
      }
    },
    given: call('/register', { agent_id: 'page' }),
  },
  fetching('POST nothing at all, no-cors', '/register', { method: 'POST', mode: 'no-cors' }),
  fetching('POST deregister, no-cors', '/deregister', post('text/plain', { agent_id: 'victim' }, { mode: 'no-cors' })),
  fetching('POST a file, no-cors', '/files', post('text/plain', { file_key: 'k', content: 'c', agent_id: 'page' }, { mode: 'no-cors' })),
  fetching('DELETE (preflight)', '/files/k', { method: 'DELETE' }),
  fetching('GET with ?token=', '/poll/victim?token=T0KEN'),
  fetching('GET with ?token=, no-cors', '/poll/victim?token=T0KEN', { mode: 'no-cors' }),
  {
    ...fetching('GET with the token in its header (preflight)', '/poll/victim', { headers: { Authorization: 'Bearer T0KEN' } }),
    stolen: true,
  },
  embedding('img'),
  embedding('script'),
  embedding('iframe'),
  embedding('video'),
  embedding('object', 'data'),
  embedding('embed'),
  embedding('link', 'href', { rel: 'stylesheet' }),
  embedding('link', 'href', { rel: 'prefetch' }),
  form('application/x-www-form-urlencoded', '/register', { agent_id: 'page' }),
  form('text/plain', '/register', { agent_id: 'page' }),
  form('text/plain', '/delegate', delegation),
  form('multipart/form-data', '/delegate', delegation),
  form('text/plain', '/deregister', { agent_id: 'victim' }),
  { name: 'WebSocket as the victim', run: connects, given: { path: '/ws/victim' } },
  { name: 'WebSocket as somebody new', run: connects, given: { path: '/ws/page' } },
  { name: 'WebSocket with ?token=', run: connects, given: { path: '/ws/victim?token=T0KEN' }, stolen: true },
  { name: 'EventSource of a poll', run: streams, given: { path: '/poll/victim' } },
  { name: 'sendBeacon text/plain', run: beacons, given: { ...call('/delegate', delegation), type: 'text/plain' } },
  { name: 'sendBeacon without a type', run: beacons, given: { ...call('/register', { agent_id: 'page' }), type: '' } },
  { name: 'fetch from a sandboxed frame (Origin: null)', run: hides, given: { path: '/poll/victim' } },
  { name: 'a new window of a poll', run: opens, given: { path: '/poll/victim' } },
];

export { connects, fetches };
