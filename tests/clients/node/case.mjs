// A case is one call of one client package. The test compares what the case received with the database.

export const REAL = "tiny"; // the model of the real llama.cpp
export const SCRIPTED = "scripted"; // of tests/live/scripted_model.py, which does what a question's first word says

export const cases = [];

// Registers a case. client: the package, as in package.json. area: the part of its API. call: what is called.
// run: gets { url, ask }; ask(command, more) is a question whose answer no other case gets, and ask.go(more) lets a
// reply to ask("pause", more) go on. It returns replies that must be in the database: [status, text] pairs.
export function addCase(client, area, call, run) {
  cases.push({ client, area, call, run });
}

export function assert(condition, problem) {
  if (!condition) throw new Error(problem);
}

// The error with which `work` rejects.
export async function raised(work) {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("nothing was raised");
}
