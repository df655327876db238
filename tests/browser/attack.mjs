// Pages of other origins try what they can against a relay with mail waiting; then pages that may
// ask do so. Prints a line for each, and exits non-zero where one is not as it should be.

import http from 'node:http';
import { chromium } from 'playwright-core';
import { attempts, connects, fetches } from './attempts.mjs';
import { Relay } from './relay.mjs';

const TOKEN = 'T0KEN';
const PAGE = '<!doctype html><title>a page</title><body>';
let passed = 0;
let failed = 0;

function row(page, tried, happened, faults) {
  const verdict = faults.length === 0 ? 'ok' : `BAD: ${faults.join('; ')}`;
  if (faults.length === 0) passed += 1;
  else failed += 1;
  console.log(`${page.padEnd(22)} ${tried.padEnd(50)} ${happened.slice(0, 60).padEnd(60)} ${verdict}`);
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// The exchanges since `from`, all of them answered if that comes about soon.
async function settled(relay, from) {
  const pending = () => relay.exchanges.slice(from).some((exchange) => !exchange.status);
  for (let tries = 0; pending() && tries < 40; tries += 1) await pause(50);
  return relay.exchanges.slice(from);
}

const corsHeaders = (relay) => relay.heads.filter((head) => /^access-control-/im.test(head));

// Whatever is wrong with how an attempt ended.
async function judge(relay, before, exchanges, seen) {
  const faults = [];
  if (/^(READ|OPEN|LOADED)/.test(seen)) faults.push(`the page got in: ${seen}`);
  for (const { line, status } of exchanges) {
    if (status !== 401 && status !== 403) faults.push(`${line} was answered with ${status}`);
  }
  if ((await relay.state()) !== before) faults.push('the relay holds something else now');
  if (corsHeaders(relay).length > 0) faults.push('a reply has a CORS header');
  return faults;
}

// One page after the other, each attempt on its own.
async function attack(browser, label, relay, pageUrl) {
  const context = await browser.newContext();
  // The page of a name that leads to the relay by now: only it is made up, nothing else.
  const rebound = new URL(pageUrl).port === String(relay.port);
  if (rebound) {
    await context.route(pageUrl, (route) => route.fulfill({ contentType: 'text/html', body: PAGE }));
  }
  const page = await context.newPage();
  await page.goto(pageUrl);
  const target = rebound ? new URL(pageUrl).origin : relay.url();
  const before = await relay.state();
  let arrived = 0;
  for (const { name, run, given, stolen } of attempts) {
    // Whoever has the token may call the relay what it likes: there a page has to be stopped by its
    // origin, and this one's is the name it calls.
    if (stolen && rebound && relay.token) continue;
    const from = relay.exchanges.length;
    const seen = await page.evaluate(run, { url: target, ...given });
    const icon = ({ line }) => line === 'GET /favicon.ico';
    const exchanges = (await settled(relay, from)).filter((exchange) => !icon(exchange));
    arrived += exchanges.length;
    const statuses = exchanges.map(({ line, status }) => `${line.split(' ')[0]} ${status}`);
    const happened = `${statuses.join(', ') || 'nothing was sent'}; the page: ${seen}`;
    row(label, name, happened, await judge(relay, before, exchanges, seen));
  }
  // A page that cannot reach the relay at all would prove nothing.
  row(label, 'most of it has reached the relay', `${arrived} requests`, arrived > attempts.length / 2 ? [] : ['too few']);
  const mail = await relay.clientPolls();
  row(label, 'afterwards the client polls', mail.join(', '), mail.join() === 'kept,kept too' ? [] : ['not the mail that waited']);
  await context.close();
}

async function withMail(options) {
  const relay = await Relay.start(options);
  await relay.call('POST', '/register', { agent_id: 'victim', name: 'victim' });
  for (const task of ['kept', 'kept too']) {
    await relay.call('POST', '/delegate', { from_agent: 'boss', to_agent: 'victim', task });
  }
  return relay;
}

// Pages that may ask, and what is documented for them.
async function welcome(browser, pageUrl) {
  const origin = new URL(pageUrl).origin;
  const relay = await withMail(['--allow-origin', origin]);
  const context = await browser.newContext();
  const page = await context.newPage();
  const run = (what, given) => page.evaluate(what, { url: relay.url(), ...given });
  const expect = (label, tried, seen, good) => row(label, tried, seen, good ? [] : ['not as documented']);
  await page.goto(pageUrl);
  let seen = await run(connects, { path: '/ws/page' });
  expect('an allowed origin', 'WebSocket', seen, seen === 'OPEN' || seen.startsWith('READ'));
  seen = await run(fetches, { path: '/discover' });
  expect('an allowed origin', 'fetch: arrives, but is not to be read', seen, seen === 'TypeError');
  expect('an allowed origin', 'fetch: the reply', String(relay.exchanges.at(-1).status), relay.exchanges.at(-1).status === 200);
  for (const host of ['127.0.0.1', 'localhost']) {
    const label = `the relay's, ${host}`;
    await page.goto(relay.url(host));
    const own = (what, given) => page.evaluate(what, { url: relay.url(host), ...given });
    seen = await own(fetches, { path: '/discover' });
    expect(label, 'fetch GET', seen, seen.startsWith('READ 200'));
    const call = { from_agent: 'page', to_agent: 'victim', task: 'by a page' };
    const options = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(call) };
    seen = await own(fetches, { path: '/delegate', options });
    expect(label, 'fetch POST', seen, seen.startsWith('READ 200'));
    seen = await own(connects, { path: '/ws/page' });
    expect(label, 'WebSocket', seen, seen === 'OPEN' || seen.startsWith('READ'));
  }
  expect('all of them', 'no reply has a CORS header', '', corsHeaders(relay).length === 0);
  await context.close();
  relay.stop();
}

const pages = http.createServer((_, reply) => reply.setHeader('Content-Type', 'text/html').end(PAGE));
await new Promise((done) => pages.listen(0, '127.0.0.1', done));
const elsewhere = pages.address().port;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    '--no-sandbox',
    '--host-resolver-rules=MAP evil.test 127.0.0.1',
    // What the browser itself holds back must not hide what the relay would let pass.
    '--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades',
  ],
});
console.log(`Chromium ${browser.version()}`);
try {
  for (const [name, options] of [['', []], [', token', ['--token', TOKEN]]]) {
    for (const [label, url] of [
      ['another port', () => `http://127.0.0.1:${elsewhere}/`],
      ['another site', () => `http://evil.test:${elsewhere}/`],
      ['rebinding', (relay) => `http://evil.test:${relay.port}/page`],
    ]) {
      const relay = await withMail(options);
      await attack(browser, label + name, relay, url(relay));
      relay.stop();
    }
  }
  await welcome(browser, `http://evil.test:${elsewhere}/`);
} finally {
  await browser.close();
  pages.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
