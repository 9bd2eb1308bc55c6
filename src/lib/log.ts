import pino from 'pino'

export type Log = pino.Logger

/** JSON lines on standard error, so that standard output stays free for answers. Secrets are redacted by key. */
export function makeLog(name: string, level = process.env.FLIGHTDECK_LOG_LEVEL ?? 'info'): Log {
  return pino(
    {
      name,
      level,
      redact: {
        paths: ['authorization', '*.authorization', 'token', '*.token', 'credential', '*.credential', '*.secret'],
        censor: '[redacted]',
      },
    },
    pino.destination({ fd: 2, sync: true }),
  )
}
