/** A program that the bench starts: waits until it answers, keeps the end of what it says for the message of a failure, ends it. */
import { spawn, type ChildProcess } from 'node:child_process'

const OUTPUT_CHARS_MAX = 4000

export class Program {
  readonly #child: ChildProcess
  readonly #name: string
  #output = ''
  #hasEnded = false

  constructor(name: string, command: string, args: readonly string[]) {
    this.#name = name
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const collect = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARS_MAX)
    }
    this.#child.stdout!.on('data', collect)
    this.#child.stderr!.on('data', collect)
    this.#child.on('error', (error) => {
      this.#hasEnded = true
      this.#output += error.message
    })
    this.#child.on('exit', () => (this.#hasEnded = true))
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Resolves when the URL answers 200. Errors: the program ended before, or thirty seconds have passed. */
  async ready(url: string): Promise<void> {
    const endMs = Date.now() + 30_000
    for (;;) {
      const isReady = await fetch(url).then(
        (response) => response.ok,
        () => false,
      )
      if (isReady) return
      if (this.#hasEnded) throw new Error(`${this.#name} ended before it was ready:\n${this.#output}`)
      if (Date.now() > endMs) throw new Error(`${this.#name} isn't ready after 30 s:\n${this.#output}`)
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#hasEnded) return
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill(signal)
    await ended
  }
}
