/** Operator commands and the command line. */
export { HELP, parseCommandLine, type Args, type StartArgs } from './args.ts'
export { checkConfig } from './check.ts'
