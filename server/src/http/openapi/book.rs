//! How an OpenAPI document is put together, call by call.

use crate::http::error::status;
use clawlink_protocol::agents::SECRET_HEADER;
use clawlink_protocol::error::ErrorBody;
use clawlink_protocol::error::ErrorCode::{self, *};
use clawlink_protocol::files::AGENT_HEADER;
use clawlink_protocol::name::AgentId;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The document as it is written.
pub(super) struct Book {
    /// Of what is parsed, and of what is written: a field with a default need not be sent, but is
    /// always there in a reply.
    parsed: SchemaGenerator,
    written: SchemaGenerator,
    paths: BTreeMap<&'static str, Map<String, Value>>,
    /// Replies that refuse, by their names.
    refusals: Map<String, Value>,
}

/// One call as it is written.
pub(super) struct Operation<'a> {
    book: &'a mut Book,
    method: &'static str,
    path: &'static str,
    parameters: Vec<Value>,
    fields: Map<String, Value>,
    responses: Map<String, Value>,
    codes: Vec<ErrorCode>,
    conditional: bool,
}

fn generator(contract: Contract) -> SchemaGenerator {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        settings.contract = contract;
    });
    settings.into_generator()
}

impl Book {
    pub(super) fn new() -> Self {
        Book {
            parsed: generator(Contract::Deserialize),
            written: generator(Contract::Serialize),
            paths: BTreeMap::new(),
            refusals: Map::new(),
        }
    }

    pub(super) fn read(&mut self, path: &'static str, summary: &str) -> Operation<'_> {
        self.call("get", path, summary)
    }

    pub(super) fn post(&mut self, path: &'static str, summary: &str) -> Operation<'_> {
        self.call("post", path, summary)
    }

    pub(super) fn delete(&mut self, path: &'static str, summary: &str) -> Operation<'_> {
        self.call("delete", path, summary)
    }

    fn call(&mut self, method: &'static str, path: &'static str, summary: &str) -> Operation<'_> {
        let mut fields = Map::new();
        let name = format!("{method}{path}").replace(|c: char| !c.is_alphanumeric(), "_");
        fields.insert("operationId".to_owned(), name.into());
        fields.insert("summary".to_owned(), summary.into());
        Operation {
            book: self,
            method,
            path,
            parameters: Vec::new(),
            fields,
            responses: Map::new(),
            codes: vec![BadRequest, Unauthorized, Forbidden, Unavailable],
            conditional: false,
        }
    }

    /// The reply with one of these codes, by its name.
    fn refusal(&mut self, codes: &[ErrorCode]) -> String {
        let words = codes.iter().map(|code| json!(code).to_string());
        let words: Vec<String> = words.map(|word| word.replace('"', "")).collect();
        let schema = json!({
            "allOf": [{"$ref": "#/components/schemas/ErrorBody"}],
            "properties": {"code": {"enum": words}},
            "required": ["error", "code"],
        });
        let reply = json!({
            "description": words.join(", "),
            "content": content("application/json", schema),
        });
        let name = words.join("_or_");
        self.refusals.insert(name.clone(), reply);
        name
    }

    pub(super) fn close(mut self) -> Value {
        self.written.subschema_for::<ErrorBody>();
        let mut schemas = self.parsed.take_definitions(true);
        schemas.extend(self.written.take_definitions(true));
        let mut document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "ClawLink relay",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "docs/protocol.md tells what each call promises; docs/errors.md, what each code means. Unknown fields and parameters are ignored, and a field that is null counts as absent.",
                "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            },
            "security": [{}, {"token": []}],
            "paths": self.paths,
            "components": {
                "securitySchemes": {"token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The relay's token, where it has one.",
                }},
                "responses": self.refusals,
                "schemas": schemas,
            },
        });
        plain(&mut document);
        document
    }
}

/// Descriptions are comments of the code: their links lead nowhere here.
fn plain(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            fields.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn parameter(place: &str, name: &str, schema: Value, required: bool) -> Value {
    json!({"in": place, "name": name, "schema": schema, "required": required})
}

fn content(kind: &str, schema: Value) -> Value {
    json!({ kind: { "schema": schema } })
}

impl Operation<'_> {
    /// A part of the path.
    pub(super) fn in_path<T: JsonSchema>(mut self, name: &str) -> Self {
        let schema = self.book.parsed.subschema_for::<T>();
        let part = parameter("path", name, schema.into(), true);
        self.parameters.push(part);
        self
    }

    /// Parameters of the query: the fields of the type that reads them. As there, all are text.
    pub(super) fn asks<T: JsonSchema>(mut self) -> Self {
        let schema = generator(Contract::Deserialize).into_root_schema_for::<T>();
        let fields = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in fields.into_iter().flatten() {
            let mut schema = schema.clone();
            if let Some(kind) = schema.pointer("/type/0").cloned() {
                // A parameter is absent, not null.
                schema["type"] = kind;
            }
            if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                values.retain(|value| !value.is_null());
            }
            self.parameters
                .push(parameter("query", name, schema, false));
        }
        self
    }

    fn header(mut self, name: &str, schema: Value, required: bool) -> Self {
        let header = parameter("header", name, schema, required);
        self.parameters.push(header);
        self
    }

    /// The call may be repeated.
    pub(super) fn once(self) -> Self {
        let schema = json!({
            "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$",
            "description": "A call of the same key and body is done once, and answered each time.",
        });
        self.header("Idempotency-Key", schema, false)
    }

    /// The call asks something of the version that a file is at.
    pub(super) fn conditional(mut self) -> Self {
        self.conditional = true;
        let matches = json!({
            "type": "string", "pattern": r#"^(\*|"?[0-9]{1,18}"?)$"#,
            "description": "The version that the file must be at; *: that there must be one.",
        });
        let none =
            json!({"type": "string", "const": "*", "description": "There must be no such file."});
        self.header("If-Match", matches, false)
            .header("If-None-Match", none, false)
    }

    fn agent(self, required: bool) -> Self {
        let schema = self.book.parsed.subschema_for::<AgentId>().into();
        self.header(AGENT_HEADER, schema, required)
    }

    /// The call is in the name of an agent, and shows its secret if it has one.
    pub(super) fn speaks(self) -> Self {
        let schema = json!({
            "type": "string", "pattern": "^[0-9A-Fa-f]{64}$",
            "description": "The secret of the agent in whose name the call is.",
        });
        self.header(SECRET_HEADER, schema, false)
    }

    /// The same, and the call has no body that could name its agent.
    pub(super) fn names_agent(self) -> Self {
        self.agent(true).speaks()
    }

    /// The call may be in the name of an agent, which sees more.
    pub(super) fn may_name_agent(self) -> Self {
        self.agent(false).speaks()
    }

    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        let schema = self.book.parsed.subschema_for::<T>().into();
        let body = json!({"required": true, "content": content("application/json", schema)});
        self.fields.insert("requestBody".to_owned(), body);
        self.codes.extend([TooLarge, UnsupportedMediaType]);
        self
    }

    fn replies(mut self, status: &str, description: &str, content: Option<Value>) -> Self {
        let mut reply = json!({ "description": description });
        if let Some(content) = content {
            reply["content"] = content;
        }
        self.responses.insert(status.to_owned(), reply);
        self
    }

    pub(super) fn gives<T: JsonSchema>(self) -> Self {
        let schema = self.book.written.subschema_for::<T>().into();
        self.replies("200", "Done.", Some(content("application/json", schema)))
    }

    pub(super) fn gives_either<A: JsonSchema, B: JsonSchema>(self) -> Self {
        let written = &mut self.book.written;
        let schemas = [written.subschema_for::<A>(), written.subschema_for::<B>()];
        let schema = json!({ "oneOf": schemas });
        self.replies("200", "Done.", Some(content("application/json", schema)))
    }

    pub(super) fn gives_text(self, kind: &str) -> Self {
        let schema = json!({"type": "string"});
        self.replies("200", "Done.", Some(content(kind, schema)))
    }

    pub(super) fn gives_any(self) -> Self {
        let schema = json!({"type": "object"});
        self.replies("200", "Done.", Some(content("application/json", schema)))
    }

    pub(super) fn unless_known(self) -> Self {
        let schema =
            json!({"type": "string", "description": "Tags of versions that the caller has."});
        self.header("If-None-Match", schema, false).replies(
            "304",
            "The caller has this version.",
            None,
        )
    }

    pub(super) fn upgrades(self) -> Self {
        self.replies("101", "The socket is open.", None)
    }

    /// That is all; besides it may be refused with these codes.
    pub(super) fn end(mut self, codes: &[ErrorCode]) {
        self.codes.extend(codes);
        let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
        for code in self.codes {
            by_status
                .entry(status(code).as_u16())
                .or_default()
                .push(code);
        }
        if self.conditional {
            by_status.insert(412, vec![VersionConflict]);
        }
        for (status, codes) in by_status {
            let name = self.book.refusal(&codes);
            let reference = json!({ "$ref": format!("#/components/responses/{name}") });
            self.responses.insert(status.to_string(), reference);
        }
        let mut fields = self.fields;
        if !self.parameters.is_empty() {
            fields.insert("parameters".to_owned(), self.parameters.into());
        }
        fields.insert("responses".to_owned(), self.responses.into());
        let path = self.book.paths.entry(self.path).or_default();
        path.insert(self.method.to_owned(), fields.into());
    }
}
