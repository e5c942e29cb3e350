// Reads the archives named as arguments by warcio, all of every record, and prints a
// line of JSON about each; anything that warcio complains of is an error. Then it
// prints the index that warcio makes of them.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { CDXIndexer, WARCParser } from "warcio";

console.warn = (...args) => {
  throw new Error(args.join(" "));
};

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function base32(bytes) {
  let bits = "";
  for (const byte of bytes) {
    bits += byte.toString(2).padStart(8, "0");
  }
  return bits.match(/.{5}/g).map((five) => alphabet[parseInt(five, 2)]).join("");
}

const sha1 = (bytes) => createHash("sha1").update(bytes ?? "").digest();

const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");

for (const path of process.argv.slice(2)) {
  const file = basename(path);

  // Blocks as they are, whose digests are computed again.
  const blocks = [];
  const plain = new WARCParser(createReadStream(path), { parseHttp: false });
  for await (const record of plain) {
    const block = await record.readFully();
    const digest = "sha1:" + base32(sha1(block));
    if (record.warcBlockDigest !== digest) {
      throw new Error(`${record.warcTargetURI}: block digest ${record.warcBlockDigest}, not ${digest}`);
    }
    blocks.push(digest);
  }

  // What a reader sees: HTTP parsed, transfer and content codings undone.
  let n = 0;
  const parser = new WARCParser(createReadStream(path));
  for await (const record of parser) {
    const content = await record.readFully(true);
    tell({
      file,
      type: record.warcType,
      url: record.warcTargetURI ?? "",
      block: blocks[n++],
      status: record.httpHeaders?.statusCode ? Number(record.httpHeaders.statusCode) : 0,
      method: record.warcType === "request" ? record.httpHeaders.method : "",
      content: sha1(content).toString("hex"),
      offset: parser.offset,
      length: parser.recordLength,
    });
  }
  if (n !== blocks.length) {
    throw new Error(`${file}: ${blocks.length} records, and ${n} when HTTP is parsed`);
  }

  const indexer = new CDXIndexer({ format: "cdxj" });
  for await (const result of indexer.iterIndex([{ filename: file, reader: createReadStream(path) }])) {
    tell({ index: indexer.serialize(result) });
  }
}
