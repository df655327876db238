// A real relay behind a proxy that writes down each request and each reply, and what the relay
// holds. A page cannot be asked what it was refused: the wire can.

import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const folder = process.env.CLAWLINK_BIN_DIR;

export class Relay {
  // Every exchange so far: the request's line, and the reply's status once it has come.
  exchanges = [];
  // Heads of replies, as they came.
  heads = [];

  static async start(options = []) {
    const relay = new Relay();
    relay.token = options[options.indexOf('--token') + 1];
    if (!options.includes('--token')) relay.token = undefined;
    const environment = { ...process.env };
    delete environment.CLAWLINK_TOKEN;
    const quiet = ['--port', '0', '--log', 'error', '--no-mdns'];
    relay.child = spawn(path.join(folder, 'clawlink-server'), [...quiet, ...options], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: environment,
    });
    process.on('exit', () => relay.child.kill());
    const ended = new Promise((_, fail) =>
      relay.child.on('exit', (code) => fail(new Error(`the relay ended with ${code}`))),
    );
    ended.catch(() => {});
    const address = new Promise((done) => {
      let said = '';
      relay.child.stdout.on('data', (bytes) => {
        said += bytes;
        const port = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
        if (port) done(Number(port[1]));
      });
    });
    relay.behind = await Promise.race([address, ended]);
    relay.proxy = net.createServer((socket) => relay.#pass(socket));
    await new Promise((done) => relay.proxy.listen(0, '127.0.0.1', done));
    relay.port = relay.proxy.address().port;
    return relay;
  }

  url(host = '127.0.0.1') {
    return `http://${host}:${this.port}`;
  }

  #pass(socket) {
    const relay = net.connect(this.behind, '127.0.0.1');
    const open = [];
    let upgraded = false;
    const note = (from, pattern, then) => {
      let rest = '';
      from.on('data', (bytes) => {
        if (upgraded) return;
        rest += bytes.toString('latin1');
        for (let head; (head = pattern.exec(rest)); rest = rest.slice(head.index + head[0].length)) {
          then(head[0]);
        }
      });
    };
    note(socket, /[A-Z]+ [^ \r\n]+ HTTP\/1\.1\r\n[^]*?\r\n\r\n/, (head) => {
      const exchange = { line: head.split(' HTTP/', 1)[0], status: undefined };
      open.push(exchange);
      this.exchanges.push(exchange);
    });
    note(relay, /HTTP\/1\.1 \d{3}[^]*?\r\n\r\n/, (head) => {
      const exchange = open.shift();
      if (exchange) exchange.status = Number(head.slice(9, 12));
      upgraded = exchange?.status === 101;
      this.heads.push(head);
    });
    socket.pipe(relay).pipe(socket);
    for (const end of [socket, relay]) end.on('error', () => end.destroy());
    socket.on('close', () => relay.destroy());
    relay.on('close', () => socket.destroy());
  }

  // A call as a client makes it, past the proxy.
  call(method, target, body) {
    const headers = { 'Content-Type': 'application/json' };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    return new Promise((done, fail) => {
      const options = { host: '127.0.0.1', port: this.behind, method, path: target, headers };
      const request = http.request(options, (reply) => {
        let text = '';
        reply.on('data', (bytes) => (text += bytes));
        reply.on('end', () => {
          if (reply.statusCode === 200) done(JSON.parse(text));
          else fail(new Error(`${method} ${target}: ${reply.statusCode} ${text}`));
        });
      });
      request.on('error', fail);
      request.end(body && JSON.stringify(body));
    });
  }

  // All that a page could have changed, as one text.
  async state() {
    const mail = await this.call('GET', '/poll/victim?peek=1');
    const agents = await this.call('GET', '/discover?all=1');
    const files = await this.call('GET', '/files');
    const broadcasts = await this.call('GET', '/broadcasts');
    const tasks = await this.call('GET', '/tasks');
    return JSON.stringify([
      mail.messages.map((message) => message.message_id),
      agents.agents.map((agent) => [agent.agent_id, agent.name, agent.description]),
      files.files.map((file) => [file.file_key, file.version]),
      broadcasts.broadcasts.map((broadcast) => broadcast.message_id),
      tasks.tasks.map((task) => [task.message_id, task.state]),
    ]);
  }

  // What the client, as the agent that the mail waits for, gets of it.
  async clientPolls() {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'clawlink-'));
    try {
      const state = { relay_url: this.url(), agent_id: 'victim', agent_name: 'victim' };
      fs.writeFileSync(path.join(home, 'agent_state.json'), JSON.stringify(state), { mode: 0o600 });
      const environment = { PATH: process.env.PATH, HOME: home, CLAWLINK_HOME: home };
      if (this.token) environment.CLAWLINK_TOKEN = this.token;
      const client = path.join(folder, 'clawlink');
      const options = { env: environment, timeout: 30_000 };
      const { stdout } = await promisify(execFile)(client, ['poll', '--json'], options);
      return stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).task);
    } finally {
      fs.rmSync(home, { recursive: true });
    }
  }

  stop() {
    this.proxy.close();
    this.child.removeAllListeners('exit');
    this.child.kill();
  }
}
