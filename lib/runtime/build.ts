import { readFileSync } from 'node:fs'

/** What this program is: from package.json, and the revision where the packager set one. */
export const BUILD = {
  version: (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version,
  revision: process.env['SIGHTLINE_REVISION'] ?? '',
} as const
