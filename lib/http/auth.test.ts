import { hashSync } from 'bcryptjs'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../config/index.ts'
import { checkTenant, createAuthenticator, tenantOf } from './index.ts'

function authenticator(yaml: string, users: Record<string, string> = {}): ReturnType<typeof createAuthenticator> {
  return createAuthenticator(parseConfig(yaml, 'test', {}).config.server, users, 'self-token')
}

const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

describe('credentials', () => {
  test('without any, everybody may do everything', async () => {
    const open = authenticator('{}')
    expect(open.isRequired).toBe(false)
    expect(tenantOf(await open.identify(undefined), 'acme', 'admin')).toBe('acme')
  })

  test('a token is bound to tenants and permissions', async () => {
    const auth = authenticator('server: { tokens: [{ name: ci, token: s3cret, tenants: [acme, beta], permissions: [write] }] }')
    await expect(auth.identify(undefined)).rejects.toMatchObject({ kind: 'unauthenticated' })
    await expect(auth.identify('Bearer wrong')).rejects.toMatchObject({ kind: 'unauthenticated' })
    const identity = await auth.identify('Bearer s3cret')
    expect(tenantOf(identity, undefined, 'write')).toBe('acme')
    expect(tenantOf(identity, 'beta', 'write')).toBe('beta')
    expect(() => tenantOf(identity, 'gamma', 'write')).toThrow(expect.objectContaining({ kind: 'forbidden' }))
    expect(() => tenantOf(identity, 'acme', 'read')).toThrow(expect.objectContaining({ kind: 'forbidden' }))
  })

  test('basic users may do what server.users says, else everything for the default tenant', async () => {
    const hashes = { ann: hashSync('a', 4), bob: hashSync('b', 4) }
    const auth = authenticator('server: { users: { ann: { tenants: ["*"], permissions: [read] } } }', hashes)
    const ann = await auth.identify(basic('ann', 'a'))
    expect(tenantOf(ann, 'any', 'read')).toBe('any')
    expect(() => tenantOf(ann, 'any', 'write')).toThrow(expect.objectContaining({ kind: 'forbidden' }))
    expect(tenantOf(await auth.identify(basic('bob', 'b')), undefined, 'admin')).toBe('default')
    for (const wrong of [basic('ann', 'b'), basic('eve', 'a'), basic('__proto__', 'a'), 'Basic !!!']) {
      await expect(auth.identify(wrong)).rejects.toMatchObject({ kind: 'unauthenticated' })
    }
  })

  test('tenant ids', () => {
    for (const good of ['default', "A-z_0.9*'()!", 'x'.repeat(150)]) expect(checkTenant(good)).toBe(good)
    for (const bad of ['', '.', '..', 'a/b', 'a b', 'ä', 'x'.repeat(151)])
      expect(() => checkTenant(bad)).toThrow(expect.objectContaining({ kind: 'bad_data' }))
    expect(() => checkTenant('a|b')).toThrow('several tenants are not built yet')
  })
})
