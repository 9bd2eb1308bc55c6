import { execFileSync } from 'node:child_process'
import { programAt } from '../bare-path.ts'

/** Installs packages of Debian. @throws Error that names them where that cannot be done. */
export function installFromDebian(...packages: string[]): void {
  if (process.getuid?.() !== 0 || programAt('apt-get') === null)
    throw new Error(`Install ${packages.join(' and ')} first: that is needed here, and only root on Debian may do it.`)
  const options = { stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] }
  const install = () => execFileSync('apt-get', ['install', '-y', '-q', ...packages], options)
  try {
    install()
  } catch {
    // The lists of packages may never have been fetched on this machine.
    execFileSync('apt-get', ['update', '-q'], options)
    install()
  }
}
