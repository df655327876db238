//! A relay as the Python original is: the fixed wire, and nothing that came later.

use crate::stub::{Answer, Request, Stub, reply};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// What the time always is there.
const NOW: &str = "2026-11-22T12:00:00.000000+00:00";

/// A running original.
pub struct Original {
    stub: Stub,
    memory: Arc<Mutex<Memory>>,
}

#[derive(Default)]
struct Memory {
    agents: BTreeMap<String, Value>,
    queues: BTreeMap<String, Vec<Value>>,
    files: BTreeMap<String, Value>,
    broadcasts: usize,
    ids: u32,
}

impl Original {
    /// Starts one.
    pub fn start() -> Original {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let own = Arc::clone(&memory);
        let stub = Stub::start(move |request| lock(&own).answer(request));
        Original { stub, memory }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.stub.url()
    }

    /// Forgets everything, as one that was started anew.
    pub fn restart(&self) {
        *lock(&self.memory) = Memory::default();
    }

    /// The ids of its agents.
    pub fn agents(&self) -> Vec<String> {
        lock(&self.memory).agents.keys().cloned().collect()
    }

    /// Takes what waits for an agent, as another client would.
    pub fn take(&self, agent_id: &str) -> Vec<Value> {
        lock(&self.memory)
            .queues
            .remove(agent_id)
            .unwrap_or_default()
    }

    /// The bodies that were sent to a path, in their order.
    pub fn sent(&self, path: &str) -> Vec<Value> {
        let line = format!("POST {path}");
        let all = self.stub.requests().into_iter();
        all.filter(|r| r.line == line).map(|r| r.json()).collect()
    }
}

impl Memory {
    fn answer(&mut self, request: &Request) -> Answer {
        let (method, path) = request.line.split_once(' ').unwrap_or_default();
        let body = request.json();
        // As its library does: parameters are no part of the path, and nobody reads them.
        let path = path.split('?').next().unwrap_or_default();
        let reply = match (method, path) {
            ("GET", "/") => self.root(),
            ("POST", "/register") => self.register(&body),
            ("GET", "/discover") => self.discover(),
            ("POST", "/heartbeat") => self.heartbeat(&body),
            ("POST", "/delegate") => self.delegate(&body),
            ("POST", "/respond") => self.respond(&body),
            ("POST", "/broadcast") => self.broadcast(&body),
            ("POST", "/files") => self.put(&body),
            ("GET", "/files") => self.files(),
            _ => return self.by_path(method, path),
        };
        Answer::ok(reply)
    }

    fn by_path(&mut self, method: &str, path: &str) -> Answer {
        let one = |prefix| {
            path.strip_prefix(prefix)
                .filter(|rest: &&str| !rest.contains('/'))
        };
        if method == "GET"
            && let Some(agent_id) = one("/poll/")
        {
            let messages = self.queues.remove(agent_id).unwrap_or_default();
            return Answer::ok(json!({"count": messages.len(), "messages": messages}));
        }
        if method == "GET"
            && let Some(key) = one("/files/")
        {
            return match self.files.get(key) {
                Some(file) => Answer::ok(file.clone()),
                None => Answer::Json(404, json!({"error": "File not found"})),
            };
        }
        Answer::Raw(reply(404, "404: Not Found"))
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{:08x}", self.ids.wrapping_mul(0x9E37_79B9))
    }

    fn root(&self) -> Value {
        json!({
            "service": "ClawLink Relay", "version": "1.0.0", "auth_required": false,
            "agents_online": self.agents.len(), "total_broadcasts": self.broadcasts,
            "shared_files": self.files.len(), "note": "", "server_time": NOW, "endpoints": {},
        })
    }

    fn register(&mut self, body: &Value) -> Value {
        let id = match body["agent_id"].as_str() {
            Some(id) => id.to_owned(),
            None => self.id(),
        };
        let or = |field: &str, default: Value| body.get(field).cloned().unwrap_or(default);
        let agent = json!({
            "agent_id": id,
            "name": or("name", json!(format!("agent-{:.4}", id))),
            "capabilities": or("capabilities", json!([])),
            "machine": or("machine", json!("127.0.0.1")),
            "description": or("description", json!("")),
            "registered_at": NOW, "last_heartbeat": 1_795_348_770.25, "status": "online",
        });
        self.agents.insert(id, agent.clone());
        json!({"status": "registered", "agent": agent, "server_time": NOW})
    }

    fn discover(&self) -> Value {
        let agents: Vec<&Value> = self.agents.values().collect();
        json!({"agents": agents, "count": agents.len(), "server_time": NOW})
    }

    fn heartbeat(&self, body: &Value) -> Value {
        let known = self.agents.contains_key(&text(body, "agent_id"));
        json!({"status": if known { "ok" } else { "unknown_agent" }})
    }

    /// Queues for anybody, whether there is such an agent or not.
    fn queue(&mut self, to: &str, message: Value) {
        let queue = self.queues.entry(to.to_owned()).or_default();
        queue.push(message);
    }

    /// The same for every agent but one.
    fn queue_for_others(&mut self, except: &str, message: &Value) -> usize {
        let others = self.agents.keys().filter(|id| *id != except);
        let others: Vec<String> = others.cloned().collect();
        for id in &others {
            self.queue(id, message.clone());
        }
        others.len()
    }

    fn delegate(&mut self, body: &Value) -> Value {
        let message_id = self.id();
        let or = |field: &str, default: Value| body.get(field).cloned().unwrap_or(default);
        let message = json!({
            "type": "task_delegation", "message_id": message_id,
            "from_agent": body["from_agent"], "to_agent": body["to_agent"], "task": body["task"],
            "context": or("context", json!({})), "priority": or("priority", json!("normal")),
            "timestamp": NOW, "queued_at": NOW,
        });
        self.queue(&text(body, "to_agent"), message);
        json!({"status": "delegated", "delivery": "queued", "message_id": message_id})
    }

    fn respond(&mut self, body: &Value) -> Value {
        let message = json!({
            "type": "task_response", "message_id": body["message_id"], "response_id": self.id(),
            "from_agent": body["from_agent"], "to_agent": body["to_agent"],
            "result": body["result"], "status": body.get("status").unwrap_or(&json!("completed")),
            "timestamp": NOW, "queued_at": NOW,
        });
        self.queue(&text(body, "to_agent"), message);
        json!({"status": "response_sent", "delivery": "queued"})
    }

    fn broadcast(&mut self, body: &Value) -> Value {
        self.broadcasts += 1;
        let message_id = self.id();
        let or = |field: &str, default: Value| body.get(field).cloned().unwrap_or(default);
        let message = json!({
            "type": "knowledge_broadcast", "message_id": message_id,
            "from_agent": body["from_agent"], "content": body["content"],
            "topic": or("topic", json!("general")), "tags": or("tags", json!([])),
            "timestamp": NOW, "queued_at": NOW,
        });
        let recipients = self.queue_for_others(&text(body, "from_agent"), &message);
        json!({"status": "broadcast_sent", "message_id": message_id, "recipients": recipients})
    }

    fn put(&mut self, body: &Value) -> Value {
        let (key, editor) = (text(body, "file_key"), text(body, "agent_id"));
        let before = self.files.get(&key).and_then(|f| f["version"].as_u64());
        let version = before.unwrap_or(0) + 1;
        let file = json!({
            "file_key": key, "content": body["content"],
            "file_type": body.get("file_type").unwrap_or(&json!("text")),
            "last_editor": editor, "version": version, "updated_at": NOW,
        });
        self.files.insert(key.clone(), file);
        let notice = json!({
            "type": "file_updated", "file_key": key, "version": version, "last_editor": editor,
            "timestamp": NOW, "queued_at": NOW,
        });
        self.queue_for_others(&editor, &notice);
        json!({"status": "saved", "version": version})
    }

    fn files(&self) -> Value {
        let mut files: Vec<Value> = self.files.values().cloned().collect();
        for file in &mut files {
            file["content"].take();
        }
        json!({"files": files, "count": files.len()})
    }
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().expect("nothing panics in here")
}
