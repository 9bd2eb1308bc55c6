/** What a page of our own says of itself. */
export const asOwnPage = { 'sec-fetch-site': 'same-origin', 'content-type': 'application/json' } as const

/** Signs in as the dashboard does; returns what a browser sends along from then on. */
export async function signIn(url: string, token: string): Promise<string> {
  const body = JSON.stringify({ token })
  const reply = await fetch(`${url}/api/session`, { method: 'POST', headers: asOwnPage, body })
  const [cookie = ''] = reply.headers.getSetCookie()
  if (reply.status !== 201) throw new Error(`signing in was refused with ${reply.status}: ${await reply.text()}`)
  return cookie.split(';', 1)[0] ?? ''
}
