import { createServer } from 'node:net'

/** A port that nothing listens on at this moment. */
export const freePort = (host: string): Promise<number> => tryPort(host, 0)

/** Listens there for a moment; resolves to the port. @throws where that is refused. */
export function tryPort(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(port, host, () => {
      const address = probe.address()
      probe.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
