/**
 * Who is asking, and what they may do. Credentials are bearer tokens of our configuration and the basic users of Prometheus' web
 * configuration file; each is bound to tenants and to read, write or admin. With no credentials configured everybody may do everything
 * (and then we listen on loopback unless told otherwise).
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { compare } from 'bcryptjs'
import { revealSecret, type ServerConfig } from '../config/index.ts'
import { SightlineError } from '../runtime/errors.ts'
import { checkTenant, DEFAULT_TENANT } from './tenant.ts'

export type Permission = 'read' | 'write' | 'admin'

export interface Identity {
  readonly name: string
  /** Tenants it may name; `*` for all. The first is used where a request names none. */
  readonly tenants: readonly string[]
  readonly permissions: readonly Permission[]
}

export interface Authenticator {
  /** True where credentials are asked for. */
  readonly isRequired: boolean
  /** Errors: unauthenticated. */
  identify(authorization: string | undefined): Promise<Identity>
}

const EVERYBODY: Identity = { name: 'anonymous', tenants: ['*'], permissions: ['read', 'write', 'admin'] }

/** How many basic-auth answers are remembered: bcrypt is slow on purpose, Grafana asks many times a second. */
const BASIC_CACHE_MAX = 1000

/**
 * @param basicUsers bcrypt hash by user
 * @param selfToken what this process shows itself when it scrapes its own metrics and sends its own spans
 */
export function createAuthenticator(
  { tokens, users }: Pick<ServerConfig, 'tokens' | 'users'>,
  basicUsers: Readonly<Record<string, string>>,
  selfToken: string,
): Authenticator {
  const isRequired = tokens.length > 0 || Object.keys(basicUsers).length > 0
  const passed = new Map<string, Identity>()
  return {
    isRequired,
    async identify(authorization) {
      if (!isRequired) return EVERYBODY
      const [scheme, value] = splitOnce(authorization ?? '')
      if (scheme === 'bearer') {
        if (sameText(value, selfToken)) return { name: 'self', tenants: [DEFAULT_TENANT], permissions: ['read', 'write'] }
        for (const token of tokens) {
          const expected = revealSecret(token.token, token.token_file)
          if (expected !== undefined && expected !== '' && sameText(value, expected)) return token
        }
      }
      if (scheme === 'basic') {
        const key = createHash('sha256').update(value).digest('base64')
        const identity = passed.get(key) ?? (await identifyBasic(value, basicUsers, users))
        if (passed.size >= BASIC_CACHE_MAX) passed.delete(passed.keys().next().value!)
        passed.set(key, identity)
        return identity
      }
      throw new SightlineError('unauthenticated', 'cannot answer without credentials: a bearer token or a user and password are needed')
    },
  }
}

async function identifyBasic(value: string, hashes: Readonly<Record<string, string>>, users: ServerConfig['users']): Promise<Identity> {
  const text = Buffer.from(value, 'base64').toString()
  const colon = text.indexOf(':')
  if (colon === -1) throw new SightlineError('unauthenticated', 'cannot answer: basic credentials need a user and a password')
  const user = text.slice(0, colon)
  // An unknown user costs as much as a known one: a hash is compared either way.
  const hash = Object.hasOwn(hashes, user) ? hashes[user]! : '$2b$10$abcdefghijklmnopqrstuuMkSPjQh6tmuc9xQDRbiUm0TGYM7AYFS'
  const isRight = await compare(text.slice(colon + 1), hash)
  if (!isRight || !Object.hasOwn(hashes, user)) throw new SightlineError('unauthenticated', 'cannot answer: unknown user or wrong password')
  const bound = Object.hasOwn(users, user) ? users[user] : undefined
  return { name: user, tenants: bound?.tenants ?? [DEFAULT_TENANT], permissions: bound?.permissions ?? ['read', 'write', 'admin'] }
}

/** The tenant a request is about. Errors: bad_data (not an id), forbidden (not this identity's). */
export function tenantOf(identity: Identity, header: string | undefined, permission: Permission): string {
  if (!identity.permissions.includes(permission)) {
    throw new SightlineError(
      'forbidden',
      `cannot ${permission}: the credentials of "${identity.name}" allow ${identity.permissions.join(', ')} only`,
    )
  }
  const tenant = checkTenant(header ?? (identity.tenants[0] === '*' ? DEFAULT_TENANT : (identity.tenants[0] ?? DEFAULT_TENANT)))
  if (!identity.tenants.includes('*') && !identity.tenants.includes(tenant)) {
    throw new SightlineError(
      'forbidden',
      `cannot use tenant "${tenant}": the credentials of "${identity.name}" are for ${identity.tenants.join(', ')}`,
    )
  }
  return tenant
}

function splitOnce(authorization: string): [string, string] {
  const space = authorization.indexOf(' ')
  return space === -1 ? ['', ''] : [authorization.slice(0, space).toLowerCase(), authorization.slice(space + 1).trim()]
}

/** In constant time for any two texts. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
