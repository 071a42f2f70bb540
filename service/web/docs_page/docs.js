// Shows /openapi.json as a page one can read and search; makes every element itself, so that no
// text of the document is ever taken for markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const FORM = "application/x-www-form-urlencoded";

// What only operators and programs ask for comes after what a newcomer looks for.
const LAST = ["health", "openapi"];

const CHINESE = {
  account: "碳账户", activities: "低碳行为", appeals: "申诉", certification: "核证", health: "运行状况",
  identity: "身份与登录", ledger: "积分流水", library: "方法学与因子", openapi: "接口文档", partners: "合作方",
  provenance: "来源说明", statistics: "统计",
};

const CALLERS = {
  anyone: "anyone, without a token 任何人，无需令牌",
  citizen: "a signed-in citizen 已登录的市民",
  partner: "a partner 合作方", staff: "staff 工作人员",
};

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  for (const child of children) if (child !== null && child !== undefined) made.append(child);
  return made;
}

function nameOf(reference) {
  return reference.split("/").pop();
}

// A schema in one line of nodes: its type, with links to the schemas it names.
function typeNodes(schema) {
  if (!schema) return ["any"];
  if (schema.$ref) {
    const name = nameOf(schema.$ref);
    return [element("a", { href: "#schema-" + name }, name)];
  }
  const either = schema.anyOf || schema.oneOf;
  if (either) return either.flatMap((each, index) => [index ? " | " : "", ...typeNodes(each)]);
  if ("const" in schema) return [element("code", {}, String(schema.const))];
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
  if (type === "array") return ["array of ", ...typeNodes(schema.items)];
  if (type === "object" && schema.additionalProperties && schema.additionalProperties.type) {
    return ["object of ", ...typeNodes(schema.additionalProperties)];
  }
  return [schema.format ? type + " (" + schema.format + ")" : type];
}

function boundsOf(schema) {
  const names = { minimum: "≥", maximum: "≤", minLength: "length ≥", maxLength: "length ≤", pattern: "pattern" };
  const bounds = Object.keys(names).filter((key) => key in schema).map((key) => names[key] + " " + schema[key]);
  if (schema.enum) bounds.push("one of: " + schema.enum.join(", "));
  if (schema.default !== undefined && schema.default !== null && schema.default !== "") bounds.push("default " + schema.default);
  return bounds.join("; ");
}

// One row for each pair of a name and what is said of it; the star is explained at the top.
function table(rows) {
  return element("table", {}, ...rows.map(([name, ...cells]) =>
    element("tr", {}, element("td", {}, ...name), ...cells.map((cell) => element("td", {}, ...cell)))));
}

function propertyTable(schema) {
  const required = new Set(schema.required || []);
  return table(Object.entries(schema.properties || {}).map(([name, property]) => [
    [element("code", {}, name), required.has(name) ? " *" : ""],
    typeNodes(property),
    [[property.description, boundsOf(property)].filter(Boolean).join(" — ")],
  ]));
}

function parameterTable(parameters) {
  return table(parameters.map((parameter) => [
    [element("code", {}, parameter.name), parameter.required ? " *" : ""],
    [parameter.in, " · ", ...typeNodes(parameter.schema)],
    [[parameter.description, boundsOf(parameter.schema || {})].filter(Boolean).join(" — ")],
  ]));
}

function contentNodes(content) {
  return Object.entries(content || {}).flatMap(([type, media]) => [" ", element("code", {}, type), " ", ...typeNodes(media.schema)]);
}

function resolved(node, document_) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((found, key) => found[key], document_);
}

function responseTable(responses, document_) {
  return table(Object.entries(responses || {}).map(([status, reference]) => {
    const response = resolved(reference, document_);
    return [[element("code", {}, status)], [response.description || "", ...contentNodes(response.content)]];
  }));
}

const SAMPLES = { "date-time": "2026-03-01T08:00:00+08:00", date: "2026-03-01", uuid: "00000000-0000-4000-8000-000000000001" };

// A value such as the schema takes: its own example where it has one.
function exampleOf(node, document_) {
  const schema = resolved(node, document_) || {};
  if ("example" in schema) return schema.example;
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const either = schema.anyOf || schema.oneOf;
  if (either) return exampleOf(either[0], document_);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return [exampleOf(schema.items, document_)];
  if (type === "object") {
    return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, each]) => [name, exampleOf(each, document_)]));
  }
  if (type === "integer" || type === "number") return schema.minimum || 0;
  if (type === "boolean") return false;
  return SAMPLES[schema.format] || "…";
}

function sentBody(type, schema, document_) {
  const example = exampleOf(schema, document_);
  if (type === FORM) return Object.entries(example).map(([name, value]) => "  --data-urlencode '" + name + "=" + value + "'");
  const indent = type === "application/json" ? 2 : 0;
  return ["  -H 'Content-Type: " + type + "'", "  --data-binary '" + JSON.stringify(example, null, indent) + "'"];
}

function curlOf(path, method, operation, body, document_) {
  const lines = ["curl " + (method === "get" ? "" : "-X " + method.toUpperCase() + " ") + "'" + location.origin + path + "'"];
  if ((operation.security || []).length) lines.push('  -H "Authorization: Bearer $TOKEN"');
  for (const [type, media] of Object.entries(body ? body.content : {})) lines.push(...sentBody(type, media.schema, document_));
  return lines.join(" \\\n");
}

function bodyNodes(body, document_) {
  const shapes = Object.values(body.content).flatMap((media) => (media.schema && media.schema.oneOf) || [media.schema]);
  const tables = shapes.map((schema) => propertyTable(resolved(schema, document_) || {}));
  return [element("h3", {}, "Body 请求体"), element("p", {}, body.description || "", ...contentNodes(body.content)), ...tables];
}

function callerWords(caller) {
  const [kind, role] = caller.split(":");
  return (CALLERS[kind] || kind) + (role ? " (" + role + ")" : "");
}

// All that one may search an operation for, problem codes included.
function wordsOf(path, method, operation, document_) {
  const answers = Object.values(operation.responses || {}).map((each) => resolved(each, document_).description);
  const tags = (operation.tags || []).flatMap((tag) => [tag, CHINESE[tag]]);
  const words = [method, path, operation.summary, operation.description, ...operation["x-callers"] || [], ...answers, ...tags];
  return words.join(" ").toLowerCase();
}

function operationSummary(path, method, operation) {
  return element("summary", {},
    element("span", { class: "method" }, method.toUpperCase()), " ", element("code", {}, path),
    element("span", { class: "callers" }, (operation["x-callers"] || []).join(", ")),
    element("span", { class: "what" }, operation.summary || ""));
}

function operationDetails(path, method, operation, shared, document_) {
  const parameters = [...(shared || []), ...(operation.parameters || [])].map((each) => resolved(each, document_));
  const body = resolved(operation.requestBody, document_);
  const details = element("details", { id: method + "-" + path, "data-words": wordsOf(path, method, operation, document_) },
    operationSummary(path, method, operation));
  if (operation.description) details.append(element("p", {}, operation.description));
  details.append(element("h3", {}, "Who may call 谁可调用"), element("p", {}, (operation["x-callers"] || []).map(callerWords).join("; ")));
  if (parameters.length) details.append(element("h3", {}, "Parameters 参数"), parameterTable(parameters));
  if (body) details.append(...bodyNodes(body, document_));
  details.append(element("h3", {}, "Example 示例"), element("pre", {}, curlOf(path, method, operation, body, document_)));
  details.append(element("h3", {}, "Answers and problem codes 答复与问题代码"), responseTable(operation.responses, document_));
  return details;
}

function sectionOf(tag, document_) {
  const known = (document_.tags || []).find((each) => each.name === tag) || {};
  return element("section", {}, element("h2", {}, [tag, CHINESE[tag]].filter(Boolean).join(" ")),
    element("p", { class: "about" }, known.description || ""));
}

function showOperations(document_) {
  const sections = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((each) => each in item)) {
      const tag = (item[method].tags || ["other"])[0];
      if (!sections.has(tag)) sections.set(tag, sectionOf(tag, document_));
      sections.get(tag).append(operationDetails(path, method, item[method], item.parameters, document_));
    }
  }
  const order = [...sections.keys()].sort((one, other) => LAST.includes(one) - LAST.includes(other));
  document.getElementById("operations").replaceChildren(...order.map((tag) => sections.get(tag)));
}

function showSchemas(document_) {
  const schemas = Object.entries((document_.components || {}).schemas || {});
  document.getElementById("schemas").replaceChildren(...schemas.map(([name, schema]) =>
    element("details", { id: "schema-" + name, "data-words": name.toLowerCase() },
      element("summary", {}, element("code", {}, name), schema.description ? " — " + schema.description : ""),
      propertyTable(schema), element("pre", {}, JSON.stringify(exampleOf(schema, document_), null, 2)))));
}

function search(words) {
  let shown = 0;
  for (const details of document.querySelectorAll("#operations details")) {
    const found = words.every((word) => details.dataset.words.includes(word));
    details.classList.toggle("hidden", !found);
    shown += found ? 1 : 0;
  }
  for (const section of document.querySelectorAll("#operations section")) {
    section.classList.toggle("hidden", !section.querySelector("details:not(.hidden)"));
  }
  document.getElementById("count").textContent = shown + " operations 个接口";
}

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") {
    if (target.closest(".hidden")) {
      document.getElementById("search").value = "";
      search([]);
    }
    target.open = true;
    target.scrollIntoView();
  }
}

async function show() {
  const document_ = await (await fetch("/openapi.json")).json();
  document.getElementById("summary").textContent = document_.info.summary || "";
  showOperations(document_);
  showSchemas(document_);
  const field = document.getElementById("search");
  field.addEventListener("input", () => search(field.value.toLowerCase().split(/\s+/).filter(Boolean)));
  window.addEventListener("hashchange", openTarget);
  search([]);
  openTarget();
}

show().catch((error) => {
  document.getElementById("operations").textContent = "openapi.json cannot be read. 无法读取 openapi.json。 (" + error.name + ")";
});
