import type { IncomingHttpHeaders } from 'node:http'

/** How a session travels: in one cookie that no script reads and no page of another site sends. */
export interface SessionCookie {
  /** Its value, or null. `secure`: the browser came over TLS. */
  read(headers: IncomingHttpHeaders, secure: boolean): string | null
  /** What to answer so that the browser keeps it, or with a null value forgets it. */
  write(value: string | null, maxAgeS: number, secure: boolean): string
}

const isValue = (text: string): boolean => /^[\w-]{1,200}$/.test(text)

/**
 * Cookies of one host go to every port of it, so the name holds the install: two installs on one machine do not sign
 * each other's people out. The prefix makes browsers refuse a cookie of that name from anybody but this very host.
 */
export function makeSessionCookie(install: string): SessionCookie {
  const nameFor = (secure: boolean) => `${secure ? '__Host-' : ''}flightdeck-${install}`
  return {
    read({ cookie = '' }, secure) {
      const begin = `${nameFor(secure)}=`
      const values = cookie
        .split(';')
        .map((part) => part.trim())
        .filter((part) => part.startsWith(begin))
        .map((part) => part.slice(begin.length))
      const [value] = values
      return values.length === 1 && value !== undefined && isValue(value) ? value : null
    },
    write(value, maxAgeS, secure) {
      const kept = value === null ? 0 : Math.max(0, Math.floor(maxAgeS))
      const parts = [`${nameFor(secure)}=${value ?? ''}`, 'Path=/', `Max-Age=${kept}`, 'HttpOnly', 'SameSite=Strict']
      return [...parts, ...(secure ? ['Secure'] : [])].join('; ')
    },
  }
}
