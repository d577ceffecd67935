import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { bytesIn, cpuSecondsIn, cpuSecondsOf, rssBytesOf } from './process.ts'
import { eachNs, mebibytes, minus, plus } from './split.ts'
import { median, percentile } from './statistics.ts'

test('the median is the middle, or between the two in the middle', () => {
  expect(median([5, 1, 3])).toBe(3)
  expect(median([4, 1, 3, 2])).toBe(2.5)
  expect(median([])).toBeNaN()
})

test('a percentile lies between its two nearest ranks', () => {
  const values = Array.from({ length: 101 }, (_, i) => 100 - i)
  expect(percentile(values, 0.95)).toBe(95)
  expect(percentile([1, 2], 0.25)).toBe(1.25)
  expect(percentile([7], 0.99)).toBe(7)
  expect(percentile(values, 1)).toBe(100)
})

test('processor time is read behind a name that holds spaces and parentheses', () => {
  expect(cpuSecondsIn('12 (a) b (c)) S 1 12 12 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 11 0 7 8 9')).toBe(3)
})

test('work shows in the time of this process', () => {
  const before = cpuSecondsOf(process.pid)
  const endMs = performance.now() + 5000
  while (cpuSecondsOf(process.pid) - before < 0.05) if (performance.now() > endMs) break
  expect(cpuSecondsOf(process.pid)).toBeGreaterThanOrEqual(before + 0.05)
  expect(rssBytesOf(process.pid)).toBeGreaterThan(10 * 2 ** 20)
})

test('bytes of a folder are those of all files below it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sightline-bytes-'))
  mkdirSync(join(folder, 'a/b'), { recursive: true })
  writeFileSync(join(folder, 'a/b/c'), 'x'.repeat(100))
  writeFileSync(join(folder, 'd'), 'x'.repeat(11))
  expect(bytesIn(folder)).toBe(111)
  expect(bytesIn(join(folder, 'none'))).toBe(0)
  rmSync(folder, { recursive: true })
})

test('what a window used is told whole and by role', () => {
  const before = { whole: 3, parts: { collector: 1, query: 2, kafka: 9 } }
  const after = { whole: 4, parts: { collector: 1.25, query: 2.75, kafka: 10 } }
  const used = minus(after, before)
  expect(used).toEqual({ whole: 1, parts: { collector: 0.25, query: 0.75, kafka: 1 } })
  expect(plus(before, used)).toEqual(after)
  expect(eachNs(used, 1000)).toEqual({ whole: 1e6, parts: { collector: 250_000, query: 750_000, kafka: 1e6 } })
  expect(mebibytes({ whole: 2 ** 21, parts: {} })).toEqual({ whole: 2, parts: {} })
})
