/** Tenant ids as they come in `X-Scope-OrgID`. */
import { SightlineError } from '../runtime/errors.ts'

export const TENANT_HEADER = 'x-scope-orgid'
export const DEFAULT_TENANT = 'default'

const TENANT = /^[A-Za-z0-9!_.*'()-]{1,150}$/

/** Checks an id. Errors: bad_data; `a|b` (several tenants in one query) is named as not built. */
export function checkTenant(id: string): string {
  if (id.includes('|')) throw new SightlineError('bad_data', `cannot use tenant "${id}": queries over several tenants are not built yet`)
  if (!TENANT.test(id) || id === '.' || id === '..') {
    throw new SightlineError(
      'bad_data',
      `cannot use tenant "${id.slice(0, 150)}": at most 150 of the characters A-Z a-z 0-9 ! _ . * ' ( ) - are allowed`,
    )
  }
  return id
}
