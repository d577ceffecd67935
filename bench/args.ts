/** The bench's command line. */
import { parseArgs } from 'node:util'
import { LAYOUTS } from './layouts.ts'
import { ROWS, SECTIONS, type Section } from './rows/index.ts'

export interface BenchArgs {
  readonly section: Section | 'all'
  readonly isQuick: boolean
  /** Row names; empty: all of the section. */
  readonly only: readonly string[]
  readonly layout: string
  /** Another layout in the same run, in the place of a peer. */
  readonly beside: string | undefined
  /** `prometheus`, a folder with another checkout, or a URL. */
  readonly peer: string | undefined
  readonly peerPid: number | undefined
  readonly peerOtlp: string | undefined
  readonly seed: number
  readonly rounds: number | undefined
  /** Share of each row's items. */
  readonly scale: number
  readonly out: string | undefined
  readonly profileFolder: string | undefined
}

export const HELP = `npm run bench -- SECTION [flags]     SECTION: ${SECTIONS.join(', ')}, all

  --quick             small loads: everything within 40 seconds
  --only ROW[,ROW]    of ${ROWS.map(({ name }) => name).join(', ')}
  --layout A[,B]      how the system is started: ${Object.keys(LAYOUTS).join(', ')}; two alternate in one run
  --peer PEER         prometheus (the installed program), a folder with another checkout of Sightline, or the URL of a running server
  --peer-pid PID      the process of a peer given by URL
  --peer-otlp URL     its OTLP over HTTP where that is another port
  --rounds N          measured rounds after the warm-up (5; quick 1)
  --scale X           times the items of each load (1)
  --seed N            of the loads (1)
  --out FILE          JSON (bench/results/<time>-<section>.json)
  --profile DIR       processor profiles of Sightline
`

/** Errors: a message for the user. */
export function parseBenchArgs(argv: readonly string[]): BenchArgs {
  const { values, positionals } = parseArgs({ ...OPTIONS, args: [...argv] })
  const [section, ...rest] = positionals
  if (section === undefined || rest.length > 0) throw new Error(`name one section: ${SECTIONS.join(', ')} or all`)
  if (section !== 'all' && !SECTIONS.includes(section as Section)) {
    throw new Error(`cannot measure "${section}": the sections are ${SECTIONS.join(', ')} and all`)
  }
  const only = (values.only ?? '').split(',').filter((name) => name !== '')
  for (const name of only) {
    const row = ROWS.find((each) => each.name === name)
    if (row === undefined) throw new Error(`no row "${name}": there are ${ROWS.map((each) => each.name).join(', ')}`)
    if (section !== 'all' && row.section !== section)
      throw new Error(`the row "${name}" is in the section ${row.section}, not in ${section}`)
  }
  const [layout, beside, ...more] = (values.layout ?? 'embedded').split(',') as [string, ...string[]]
  for (const name of [layout, ...(beside === undefined ? [] : [beside])]) {
    if (!Object.hasOwn(LAYOUTS, name)) throw new Error(`no layout "${name}": there are ${Object.keys(LAYOUTS).join(', ')}`)
  }
  if (more.length > 0) throw new Error(`cannot use --layout "${values.layout}": not one layout or two`)
  if (beside !== undefined && values.peer !== undefined) throw new Error('a second layout stands in the place of a peer: give one of them')
  const isUrl = /^https?:\/\//.test(values.peer ?? '')
  if (isUrl && values['peer-pid'] === undefined)
    throw new Error('a peer given by URL needs --peer-pid: its processor time is read from the process')
  if (!isUrl && (values['peer-pid'] ?? values['peer-otlp']) !== undefined)
    throw new Error('--peer-pid and --peer-otlp go with a peer given by URL')
  return {
    section: section as Section | 'all',
    isQuick: values.quick === true,
    only,
    layout,
    beside,
    peer: values.peer,
    peerPid: numberOf('--peer-pid', values['peer-pid']),
    peerOtlp: values['peer-otlp'],
    seed: numberOf('--seed', values.seed) ?? 1,
    rounds: numberOf('--rounds', values.rounds),
    scale: numberOf('--scale', values.scale, false) ?? 1,
    out: values.out,
    profileFolder: values.profile,
  }
}

function numberOf(flag: string, text: string | undefined, isWhole = true): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0) || (isWhole && !Number.isInteger(value)))
    throw new Error(`cannot use ${flag} "${text}": not a ${isWhole ? 'whole ' : ''}number above 0`)
  return value
}

const OPTIONS = {
  allowPositionals: true,
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    layout: { type: 'string' },
    peer: { type: 'string' },
    'peer-pid': { type: 'string' },
    'peer-otlp': { type: 'string' },
    rounds: { type: 'string' },
    scale: { type: 'string' },
    seed: { type: 'string' },
    out: { type: 'string' },
    profile: { type: 'string' },
  },
} as const
