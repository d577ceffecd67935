/** Sightline in one process: role `all`, journal and stores on its own disk. This checkout's, or another's as a peer. */
import { apisOf, placesOf, sourcesOf, SightlineProgram, tailFolderOf } from './sightline-program.ts'
import { pause, quiet, type StartSubject } from './subject.ts'

export interface SightlineChoice {
  /** In the result. */
  readonly name: string
  readonly checkout: string
  readonly version: string
}

export function oneProcessOf({ name, checkout, version }: SightlineChoice): StartSubject {
  return async (options) => {
    const { checkpointMs, profileFolder } = options
    const tailFolder = tailFolderOf(name, options)
    const program = await SightlineProgram.create({ name, checkout, role: 'all', profileFolder })
    await program.start([`shards: { checkpoint_interval: ${checkpointMs}ms }`, ...sourcesOf(options, tailFolder)])
    const cpuSeconds = (): number => program.cpuSeconds()
    return {
      name,
      version,
      places: { ...placesOf(program, options, tailFolder), ...apisOf(program) },
      parts: [],
      cpuSeconds,
      rssBytes: () => program.rssBytes(),
      storedItems: (signal) => program.storedItems(signal),
      async settle() {
        await pause(checkpointMs + 100)
        await quiet({ cpuSeconds })
      },
      async finish(signal) {
        await program.end()
        const kept = { storeBytes: program.storeBytes(signal), journalBytes: {} }
        program.remove()
        return kept
      },
    }
  }
}
