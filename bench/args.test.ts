import { describe, expect, test } from 'vitest'
import { parseBenchArgs } from './args.ts'

const parse = (line: string): ReturnType<typeof parseBenchArgs> => parseBenchArgs(line.split(' ').filter((word) => word !== ''))

test('a section and flags', () => {
  expect(parse('all --quick')).toMatchObject({
    section: 'all',
    isQuick: true,
    only: [],
    layout: 'embedded',
    seed: 1,
    scale: 1,
    peer: undefined,
  })
  expect(parse('metrics --only remote-write,promql --rounds 3 --scale 0.1 --seed 9')).toMatchObject({
    only: ['remote-write', 'promql'],
    rounds: 3,
    scale: 0.1,
    seed: 9,
  })
  expect(parse('all --layout embedded,kafka')).toMatchObject({ layout: 'embedded', beside: 'kafka' })
  expect(parse('logs --peer http://127.0.0.1:3100 --peer-pid 42')).toMatchObject({ peer: 'http://127.0.0.1:3100', peerPid: 42 })
})

describe('what it does not understand is told', () => {
  test.each([
    ['', 'name one section: metrics, logs, traces, collector or all'],
    ['metric', 'cannot measure "metric"'],
    ['all now', 'name one section'],
    ['all --only tailing', 'no row "tailing": there are scrape, tail,'],
    ['logs --only promql', 'the row "promql" is in the section metrics, not in logs'],
    ['all --layout kafka9', 'no layout "kafka9": there are embedded'],
    ['all --layout http,kafka,kafka-2', 'not one layout or two'],
    ['all --layout embedded,kafka --peer prometheus', 'give one of them'],
    ['all --peer http://127.0.0.1:9090', 'needs --peer-pid'],
    ['all --peer prometheus --peer-pid 4', '--peer-pid and --peer-otlp go with a peer given by URL'],
    ['all --rounds 0', 'cannot use --rounds "0"'],
    ['all --rounds 1.5', 'cannot use --rounds "1.5": not a whole number above 0'],
    ['all --scale none', 'cannot use --scale "none"'],
    ['all --fast', "Unknown option '--fast'"],
  ])('%s', (line, message) => {
    expect(() => parse(line)).toThrow(message)
  })
})
