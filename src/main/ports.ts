import { connect, createServer } from 'node:net'
import { bareHost, isEveryAddress } from '../lib/host.ts'

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

/** Whether something takes connections there. */
export function isListening(host: string, port: number): Promise<boolean> {
  const called = isEveryAddress(host) ? 'localhost' : bareHost(host)
  return new Promise((resolve) => {
    const socket = connect({ host: called, port })
    const tell = (listens: boolean) => () => {
      socket.destroy()
      resolve(listens)
    }
    socket.once('connect', tell(true)).once('error', tell(false)).setTimeout(1_000, tell(false))
  })
}
