// Package parquet writes the records of a [storage.Store] as Apache Parquet, which
// DuckDB, Spark, pandas and the like read without parsing:
//
//	n, err := parquet.Records(ctx, file, store, parquet.Options{})
//
// The columns are the default fields of package export, in their order and with
// their names; fetched_at is a timestamp in UTC. Everything streams: at most a row
// group is held in memory.
//
// It is a module of its own, so that a program which does not use it does not have
// Parquet's modules in its graph. The command crawl-parquet exports a job:
//
//	cd storage/export/parquet
//	go run ./crawl-parquet -o pages.parquet -where 'status >= 400' JOB
package parquet
