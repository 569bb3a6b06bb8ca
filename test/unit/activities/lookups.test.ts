import { checkDatasetUrls } from '../../../activities/tuning/dataset-urls';
import { inTurn, type Resolve } from '../../../activities/tuning/lookups';

/** A resolver that answers when it is told to, and says what it was asked. */
function slowResolver() {
  const asked: { readonly name: string; readonly answer: () => void }[] = [];
  const resolve: Resolve = (name, _options, callback) => {
    asked.push({ name, answer: () => callback(null, [{ address: '127.0.0.1', family: 4 }]) });
  };
  return { resolve, names: () => asked.map(({ name }) => name), asked };
}

/** What was begun has come as far as it can without the resolver. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

const never = () => new AbortController().signal;

function ask(resolve: ReturnType<typeof inTurn>, name: string, signal = never()) {
  return new Promise<string | undefined>((done, fail) => {
    resolve(signal, name, { all: true }, (error, [first]) => {
      if (error === null) done(first?.address);
      else fail(error);
    });
  });
}

test('one name is looked up at a time, in turn with those of other datasets', async () => {
  const { resolve, names, asked } = slowResolver();
  const many = inTurn(resolve);
  const other = inTurn(resolve);
  const answers = [ask(many, 'a1'), ask(many, 'a2'), ask(many, 'a3'), ask(other, 'b1')];

  for (const expected of [['a1'], ['a1', 'b1'], ['a1', 'b1', 'a2'], ['a1', 'b1', 'a2', 'a3']]) {
    await settled();
    expect(names()).toEqual(expected);
    asked.at(-1)?.answer();
  }
  expect(await Promise.all(answers)).toEqual(Array(4).fill('127.0.0.1'));
});

test('who does not wait any longer loses the turn, and a name that hangs keeps it', async () => {
  const { resolve, names, asked } = slowResolver();
  const [hanging, leaving, staying] = [inTurn(resolve), inTurn(resolve), inTurn(resolve)];
  const left = new AbortController();
  const hung = ask(hanging, 'hangs', left.signal);
  const gone = ask(leaving, 'leaves', left.signal);
  const gone2 = ask(leaving, 'leaves too', left.signal);
  const stays = ask(staying, 'stays');
  const refusals = Promise.all([gone, gone2].map((one) => expect(one).rejects.toThrow('enough')));
  await settled();
  left.abort(new Error('enough'));

  await refusals;
  expect(names()).toEqual(['hangs']);
  asked[0]?.answer();
  await hung;
  await settled();
  expect(names()).toEqual(['hangs', 'stays']);
  asked[1]?.answer();
  expect(await stays).toBe('127.0.0.1');
});

test('a resolver that throws gives its turn back', async () => {
  const throwing = inTurn(() => {
    throw new Error('no such option');
  });
  await expect(ask(throwing, 'x')).rejects.toThrow('no such option');
  await expect(ask(throwing, 'y')).rejects.toThrow('no such option');
});

test('a name that hangs is told as such, and the check ends in time', async () => {
  const { resolve, names, asked } = slowResolver();
  const urls = Array.from({ length: 20 }, (_, index) => `http://hangs-${index}.example/a.csv`);
  const check = checkDatasetUrls(urls, { signal: never(), allowPrivateHosts: [], resolve, timeoutMs: 50 });

  await expect(check).rejects.toThrow(
    "tuning.input.urls[0]: http://hangs-0.example/a.csv: hangs-0.example can't be asked: its name could not be looked up within 0.05 s",
  );
  expect(names()).toEqual(['hangs-0.example']);
  asked[0]?.answer();
});
