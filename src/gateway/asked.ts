/** What is read of a request's headers. */
export interface Asked {
  authorization: string
  requestId: string
  length: number
  /** Header lines that go on to the engine. */
  passed: string
}

const saneRequestId = /^[\w.:-]{1,128}$/

/** Names as `node:http` gives them: names and values in turn. */
export function readHeaders(raw: readonly string[]): Asked {
  const asked = { authorization: '', requestId: '', length: 0, passed: '' }
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    // Lengths first: lower-casing every name of every request costs more than all the rest here.
    if (name.length === 6 || (name.length >= 10 && name.length <= 14))
      noteHeader(asked, name.toLowerCase(), raw[i + 1] as string)
  }
  return asked
}

/** `name` in lower case. */
export function noteHeader(asked: Asked, name: string, value: string) {
  switch (name) {
    case 'authorization':
      asked.authorization = value
      break
    case 'x-request-id':
      if (saneRequestId.test(value)) asked.requestId = value
      break
    case 'content-length':
      asked.length = Number(value)
      break
    // A list of what goes on and not of what does not: an engine obeys headers that nobody here has heard of.
    case 'content-type':
    case 'accept':
    case 'traceparent':
    case 'tracestate':
      asked.passed += `${name}: ${value}\r\n`
  }
}
