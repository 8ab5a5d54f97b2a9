// One line for each test, as scripts/test.sh reads them.
export default async function* lines(source) {
  for await (const { type, data } of source) {
    const name = data?.name?.replace(/\W+/g, '_');
    if (type === 'test:pass') yield `ok node_${name}\n`;
    if (type === 'test:fail') {
      const error = data.details.error.cause ?? data.details.error;
      yield `${String(error?.stack ?? error).replace(/^/gm, '# ')}\nnot ok node_${name}\n`;
    }
  }
}
