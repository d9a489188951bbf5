// Camunda's own judgement of element templates. Usage: node validator.mjs FILE...
// prints one JSON object: {FILE: [line, ...]}, no lines where all templates are valid

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

const require = createRequire(new URL('../diagrams/package.json', import.meta.url));
const { validateAllZeebe } = require('@bpmn-io/element-templates-validator');

const report = {};
for (const file of process.argv.slice(2)) {
  const { results } = validateAllZeebe(JSON.parse(await readFile(file, 'utf8')));
  report[file] = results
    .filter((one) => !one.valid)
    .flatMap((one) => one.errors.map((error) => `${one.object.id}: ${error.message}`));
}
console.log(JSON.stringify(report));
