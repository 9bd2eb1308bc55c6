import pino from 'pino'

export type Log = pino.Logger

/** JSON lines on standard error, so that standard output stays free for answers. Secrets are redacted by key. */
export function makeLog(name: string, level = process.env.FLIGHTDECK_LOG_LEVEL ?? 'info'): Log {
  const output = pino.destination({ fd: 2, sync: true })
  output.on('error', (error: NodeJS.ErrnoException) => {
    // A terminal that was closed takes nothing any more; what outlives it goes on. A full disk may take lines again.
    if (error.code === 'EIO') output.write = () => true
  })
  return pino(
    {
      name,
      level,
      redact: {
        paths: ['authorization', '*.authorization', 'token', '*.token', 'credential', '*.credential', '*.secret'],
        censor: '[redacted]',
      },
    },
    output,
  )
}
