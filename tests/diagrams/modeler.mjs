// What Camunda Modeler does with a diagram, without its window: opens it, lints it, saves it.
// Usage: node modeler.mjs [--open] FILE...   prints one JSON object: {FILE: {opening, modeler, bpmnlint, saved}}
// With --open, files are opened only.

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { BpmnModdle } from 'bpmn-moddle';
import { Linter as BpmnLinter } from 'bpmnlint';
import NodeResolver from 'bpmnlint/lib/resolver/node-resolver.js';
import { build } from 'esbuild';

const require = createRequire(import.meta.url);
const modeler = require('modeler-moddle/resources/modeler.json');
const zeebe = require('zeebe-bpmn-moddle/resources/zeebe.json');
const compat = require('bpmnlint-plugin-camunda-compat');

// From the engine this project runs to the newest one known: what an upgrade would meet.
const ENGINES = Object.keys(compat.configs)
  .filter((name) => /^camunda-cloud-8-([6-9]|\d\d)$/.test(name));

// It asks every compensation boundary event for a name; their handler says it.
const NOT_FOR_SAGAS = { 'label-required': 'off' };

// A person's task is a job, which gRPC completes: docs/decisions/0063-a-persons-task-is-a-job.md.
const A_JOB_BY_CHOICE = /\[(camunda-compat\/)?zeebe-user-task\]$/;

// @camunda/linting is written for a bundler: Node can't import it as it stands.
async function modelerLinter() {
  const bundle = await build({
    stdin: {
      contents: "export { Linter } from '@camunda/linting';",
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import'],
    write: false,
    logLevel: 'error',
  });
  const code = Buffer.from(bundle.outputFiles[0].contents).toString('base64');
  const { Linter } = await import(`data:text/javascript;base64,${code}`);
  return new Linter({ modeler: 'desktop', type: 'cloud' });
}

function lines(reports) {
  return reports
    .map(({ id, rule, message }) => `${id}: ${message} [${rule}]`)
    .filter((line) => !A_JOB_BY_CHOICE.test(line));
}

// bpmnlint looks for the association of a compensation event in the process only, so it takes each
// one that the Modeler draws in a sub-process for a loose end.
function isJoinedInItsSubProcess({ id, rule }, elements) {
  const event = elements.get(id);
  const joined = event?.$parent.artifacts?.some((artifact) => artifact.sourceRef?.id === id);
  return rule === 'no-implicit-end' && joined;
}

async function lintWithBpmnlint(diagram, elements) {
  const found = new Set();
  for (const engine of ENGINES) {
    const config = {
      extends: ['bpmnlint:recommended', `plugin:camunda-compat/${engine}`],
      rules: NOT_FOR_SAGAS,
    };
    const linter = new BpmnLinter({ config, resolver: new NodeResolver({ require }) });
    for (const [rule, reports] of Object.entries(await linter.lint(diagram))) {
      const named = reports.map((report) => ({ rule, ...report }));
      const meant = named.filter((report) => !isJoinedInItsSubProcess(report, elements));
      lines(meant).forEach((line) => found.add(line));
    }
  }
  return [...found];
}

async function check(file, linter) {
  const moddle = new BpmnModdle({ modeler, zeebe });
  const source = await readFile(file, 'utf8');
  const { rootElement, elementsById, warnings } = await moddle.fromXML(source);
  const elements = new Map(Object.entries(elementsById));
  const { xml } = await moddle.toXML(rootElement, { format: true });
  return {
    opening: warnings.map((warning) => warning.message),
    modeler: lines(await linter.lint(rootElement)),
    bpmnlint: await lintWithBpmnlint(rootElement, elements),
    saved: xml,
  };
}

async function open(file) {
  const { warnings } = await new BpmnModdle({ modeler, zeebe }).fromXML(await readFile(file, 'utf8'));
  return { opening: warnings.map((warning) => warning.message) };
}

const files = process.argv.slice(2).filter((argument) => argument !== '--open');
const onlyOpen = files.length < process.argv.length - 2;
const linter = onlyOpen ? null : await modelerLinter();
const report = {};
for (const file of files) {
  report[file] = onlyOpen ? await open(file) : await check(file, linter);
}
console.log(JSON.stringify(report, null, 2));
