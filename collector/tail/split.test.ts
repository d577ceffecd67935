import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { detectFormat, parseLine } from './format.ts'
import { splitLines } from './split.ts'

const AT = '2026-01-02T03:04:05.123456789Z'
const textsOf = (lines: readonly { text: Uint8Array }[]): string[] => lines.map((line) => Buffer.from(line.text).toString())

describe('container formats', () => {
  test('CRI lines have time, stream and text', () => {
    const piece = parseLine('cri', Buffer.from(`${AT} stderr F hello  world`))
    expect(piece).toMatchObject({ stream: 'stderr', timeMs: Date.parse('2026-01-02T03:04:05.123Z'), subNs: 456_789, isPartial: false })
    expect(Buffer.from(piece.text).toString()).toBe('hello  world')
    expect(parseLine('cri', Buffer.from('2026-01-02T03:04:05.5+01:00 stdout P x')).timeMs).toBe(Date.parse('2026-01-02T02:04:05.500Z'))
    expect(Buffer.from(parseLine('cri', Buffer.from(`${AT} stdout F `)).text).toString()).toBe('')
    expect(Buffer.from(parseLine('cri', Buffer.from(`${AT} stdout F`)).text).toString()).toBe('')
  })

  test('Docker lines are partial without their newline', () => {
    expect(parseLine('docker', Buffer.from(`{"log":"a\\"b\\n","stream":"stdout","time":"${AT}"}`))).toMatchObject({
      stream: 'stdout',
      isPartial: false,
    })
    expect(parseLine('docker', Buffer.from(`{"log":"a","stream":"stderr","time":"${AT}"}`)).isPartial).toBe(true)
  })

  test('the format is told from the first line', () => {
    expect(detectFormat(Buffer.from(`${AT} stdout F x`))).toBe('cri')
    expect(detectFormat(Buffer.from(`{"log":"a\\n","stream":"stdout","time":"${AT}"}`))).toBe('docker')
    expect(detectFormat(Buffer.from('{"level":"info"}'))).toBe('raw')
    expect(detectFormat(Buffer.from('hello'))).toBe('raw')
  })

  test('a line that is not in the format comes out whole', () => {
    expect(Buffer.from(parseLine('cri', Buffer.from('panic: x')).text).toString()).toBe('panic: x')
  })
})

describe('splitting', () => {
  test('partial pieces are joined by stream, and lines are handed out up to where no join is open', () => {
    const text = `${AT} stdout F one\n${AT} stdout P tw\n${AT} stderr F err\n${AT} stdout F o\n${AT} stdout P thr\n`
    const { lines, usedBytes, openBytes } = splitLines(Buffer.from(text), 'cri', 1000, false)
    expect(textsOf(lines)).toEqual(['one', 'err', 'two'])
    expect(usedBytes).toBe(text.lastIndexOf(AT))
    expect(openBytes).toBe(text.length - usedBytes)
  })

  test('a line that is not finished is left for the next read; the final read takes it', () => {
    expect(splitLines(Buffer.from('a\nb'), 'raw', 1000, false)).toMatchObject({ usedBytes: 2, openBytes: 1 })
    expect(textsOf(splitLines(Buffer.from('a\nb'), 'raw', 1000, true).lines)).toEqual(['a', 'b'])
    expect(textsOf(splitLines(Buffer.from(`${AT} stdout P a\n`), 'cri', 1000, true).lines)).toEqual(['a'])
  })

  test('lines over the limit are cut and say how much', () => {
    const { lines } = splitLines(Buffer.from(`${AT} stdout P aaaa\n${AT} stdout F bbbb\n`), 'cri', 6, false)
    expect(textsOf(lines)).toEqual(['aaaabb'])
    expect(lines[0]!.cutBytes).toBe(2)
  })

  test('however the bytes are cut into reads, the lines are the same', () => {
    const piece = fc.record({
      stream: fc.constantFrom('stdout', 'stderr'),
      tag: fc.constantFrom('P', 'F'),
      text: fc.stringMatching(/^[a-z ]{0,12}$/),
    })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.integer({ min: 1, max: 80 }), { minLength: 1 }), (pieces, steps) => {
        const bytes = Buffer.from(pieces.map((p) => `${AT} ${p.stream} ${p.tag} ${p.text}\n`).join(''))
        const whole = textsOf(splitLines(bytes, 'cri', 1000, true).lines)
        const out: string[] = []
        let from = 0
        let to = 0
        for (let i = 0; to < bytes.length; i++) {
          to = Math.min(bytes.length, to + steps[i % steps.length]!)
          const result = splitLines(bytes.subarray(from, to), 'cri', 1000, false)
          out.push(...textsOf(result.lines))
          from += result.usedBytes
        }
        out.push(...textsOf(splitLines(bytes.subarray(from), 'cri', 1000, true).lines))
        expect(out).toEqual(whole)
      }),
    )
  })
})
