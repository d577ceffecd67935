/** Writes numbered lines as a kubelet would, and rotates the file by rename now and then. */
import { appendFileSync, mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'

export interface LogWriter {
  /** Every line written so far. */
  readonly lines: readonly string[]
  stop(): void
}

const ROTATE_EVERY = 400

export function startLogWriter(podsDir: string, pod: string, everyMs: number): LogWriter {
  const dir = join(podsDir, `load_${pod}_uid-1/app`)
  mkdirSync(dir, { recursive: true })
  const path = join(dir, '0.log')
  const lines: string[] = []
  const timer = setInterval(() => {
    const line = `line ${lines.length} of ${pod}`
    lines.push(line)
    // Every tenth line comes in two pieces.
    const at = new Date().toISOString()
    const pieces = lines.length % 10 === 0 ? [`P ${line.slice(0, 6)}`, `F ${line.slice(6)}`] : [`F ${line}`]
    for (const piece of pieces) appendFileSync(path, `${at} stdout ${piece}\n`)
    if (lines.length % ROTATE_EVERY === 0) renameSync(path, `${path}.${String(lines.length).padStart(8, '0')}`)
  }, everyMs)
  return { lines, stop: () => clearInterval(timer) }
}
