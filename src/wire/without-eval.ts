import { z } from 'zod'

// The policy of a page forbids code that is made from text; imported before any schema is made, this says so to the library.
z.config({ jitless: true })
