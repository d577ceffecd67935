/** `npm run bench -- SECTION [flags]`: reads the command line, runs, prints the table, writes the document. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HELP, parseBenchArgs } from './args.ts'
import { tableOf } from './report.ts'
import { runBench } from './run.ts'

try {
  const args = parseBenchArgs(process.argv.slice(2))
  const result = await runBench(args, (line) => process.stderr.write(`${line}\n`))
  const time = result.startedAt.replaceAll(/[:.]/g, '-')
  const out = args.out ?? join(import.meta.dirname, 'results', `${time}-${result.section}.json`)
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`)
  process.stdout.write(`${tableOf(result)}${out}\n`)
  process.exit(Object.keys(result.failed).length === 0 ? 0 : 1)
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
  process.exit(1)
}
