/** Operator commands and the command line. */
export { HELP, parseCommandLine, type Args, type Role, type StartArgs } from './args.ts'
export { checkConfig } from './check.ts'
export { loadWithFlags } from './effective-config.ts'
