// Calls a server of blobs at a steady rate: client ADDRESS CALLERS PAUSE_MS SECONDS. Prints `CALLS LOST`.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const deadline = 10 * time.Second

// Messages are bytes already.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (raw) Name() string { return "proto" }

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	callers, pause := number(os.Args[2]), time.Duration(number(os.Args[3]))*time.Millisecond
	connection, err := grpc.NewClient("passthrough:///"+os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	// A message whose field 2 holds 100 bytes.
	request := append([]byte{0x12, 100}, make([]byte, 100)...)
	begun := time.Now()
	end := begun.Add(time.Duration(number(os.Args[4])) * time.Second)
	var made, lost atomic.Int64
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for due := begun; due.Before(end); due = due.Add(pause) {
				time.Sleep(time.Until(due))
				made.Add(1)
				limited, cancel := context.WithTimeout(context.Background(), deadline)
				var answer []byte
				err := connection.Invoke(limited, "/test.v1.BlobService/Put", &request, &answer, grpc.ForceCodec(raw{}))
				cancel()
				if err != nil && lost.Add(1) <= 20 {
					fmt.Fprintln(os.Stderr, err)
				}
			}
		})
	}
	running.Wait()
	fmt.Println(made.Load(), lost.Load())
}
