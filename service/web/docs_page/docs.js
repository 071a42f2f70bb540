// Shows /openapi.json as a page one can read and search; makes every element itself, so that no
// text of the document is ever taken for markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

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
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
  if (type === "array") return ["array of ", ...typeNodes(schema.items)];
  return [schema.format ? type + " (" + schema.format + ")" : type];
}

function boundsOf(schema) {
  const names = { minimum: "≥", maximum: "≤", minLength: "length ≥", maxLength: "length ≤", pattern: "pattern" };
  const bounds = Object.keys(names).filter((key) => key in schema).map((key) => names[key] + " " + schema[key]);
  if (schema.enum) bounds.push("one of: " + schema.enum.join(", "));
  return bounds.join("; ");
}

function propertyTable(schema) {
  const required = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {}).map(([name, property]) =>
    element("tr", {},
      element("td", {}, element("code", {}, name), required.has(name) ? " *" : ""),
      element("td", {}, ...typeNodes(property)),
      element("td", {}, [property.description, boundsOf(property)].filter(Boolean).join(" — "))));
  return element("table", {}, ...rows);
}

function parameterTable(parameters) {
  const rows = parameters.map((parameter) =>
    element("tr", {},
      element("td", {}, element("code", {}, parameter.name), parameter.required ? " *" : ""),
      element("td", {}, parameter.in, " · ", ...typeNodes(parameter.schema)),
      element("td", {}, [parameter.description, boundsOf(parameter.schema || {})].filter(Boolean).join(" — "))));
  return element("table", {}, ...rows);
}

function contentNodes(content) {
  return Object.entries(content || {}).flatMap(([type, media]) => [" ", element("code", {}, type), " ", ...typeNodes(media.schema)]);
}

function resolved(node, document_) {
  if (!node || !node.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((found, key) => found[key], document_);
}

function responseTable(responses, document_) {
  const rows = Object.entries(responses || {}).map(([status, reference]) => {
    const response = resolved(reference, document_);
    return element("tr", {},
      element("td", {}, element("code", {}, status)),
      element("td", {}, response.description || "", ...contentNodes(response.content)));
  });
  return element("table", {}, ...rows);
}

function operationDetails(path, method, operation, shared, document_) {
  const callers = (operation["x-callers"] || []).join(" or ");
  const parameters = [...(shared || []), ...(operation.parameters || [])].map((each) => resolved(each, document_));
  const body = resolved(operation.requestBody, document_);
  const details = element("details", { "data-words": [method, path, operation.summary, operation.description, callers].join(" ").toLowerCase() },
    element("summary", {},
      element("span", { class: "method" }, method.toUpperCase()), " ", element("code", {}, path), " — ", operation.summary || "",
      element("span", { class: "callers" }, callers)));
  if (operation.description) details.append(element("p", {}, operation.description));
  if (parameters.length) details.append(element("h3", {}, "Parameters 参数"), parameterTable(parameters));
  if (body) details.append(element("h3", {}, "Body 请求体"), element("p", {}, ...contentNodes(body.content)));
  details.append(element("h3", {}, "Answers 答复"), responseTable(operation.responses, document_));
  return details;
}

function showOperations(document_) {
  const sections = new Map();
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const method of METHODS.filter((each) => each in item)) {
      const tag = (item[method].tags || ["other"])[0];
      if (!sections.has(tag)) sections.set(tag, element("section", {}, element("h2", {}, tag)));
      sections.get(tag).append(operationDetails(path, method, item[method], item.parameters, document_));
    }
  }
  document.getElementById("operations").replaceChildren(...sections.values());
}

function showSchemas(document_) {
  const schemas = Object.entries((document_.components || {}).schemas || {});
  document.getElementById("schemas").replaceChildren(...schemas.map(([name, schema]) =>
    element("details", { id: "schema-" + name, "data-words": name.toLowerCase() },
      element("summary", {}, element("code", {}, name), schema.description ? " — " + schema.description : ""),
      propertyTable(schema))));
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
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") {
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
