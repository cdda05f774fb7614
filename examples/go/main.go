// Asks a frontend whether files are known: match URL FILE...
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	matching "example.com/match/gen/vigie/matching/v1"
	model "example.com/match/gen/vigie/model/v1"
)

const (
	deadline    = 30 * time.Second
	attemptsMax = 5
	limit       = 10
)

// apiKey returns the API key: the content of the file that VIGIE_API_KEY_FILE names, or the value of VIGIE_API_KEY, or an empty string.
func apiKey() (string, error) {
	if file := os.Getenv("VIGIE_API_KEY_FILE"); file != "" {
		content, err := os.ReadFile(file)
		return strings.TrimSpace(string(content)), err
	}
	return os.Getenv("VIGIE_API_KEY"), nil
}

// connect opens a connection over TLS if the URL begins with https:, and in plain text otherwise. A key is sent in plain text only to this machine.
func connect(frontend string, hasKey bool) (*grpc.ClientConn, error) {
	address, err := url.Parse(frontend)
	if err != nil {
		return nil, err
	}
	transport := insecure.NewCredentials()
	if address.Scheme == "https" {
		transport = credentials.NewTLS(nil)
	} else if host := address.Hostname(); hasKey && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return nil, fmt.Errorf("the API key would be sent to %s in plain text: write https://", host)
	}
	return grpc.NewClient(address.Host, grpc.WithTransportCredentials(transport))
}

// detailOf returns the message of this type in the details of the error's status.
func detailOf[M proto.Message](err error) (found M, ok bool) {
	for _, detail := range status.Convert(err).Details() {
		if found, ok = detail.(M); ok {
			return found, true
		}
	}
	return found, false
}

// ask returns the answer, complete or partial.
func ask(client matching.MatchServiceClient, request *matching.MatchRequest, key string) (*matching.MatchResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	for attempt := 1; ; attempt++ {
		response, err := client.Match(ctx, request, grpc.UseCompressor(gzip.Name))
		if err == nil {
			return response, nil
		}
		pause := time.Duration(0)
		if partial, ok := detailOf[*matching.MatchResponse](err); ok && status.Code(err) == codes.Unavailable {
			if !partial.GetResultsOmitted() {
				return partial, nil
			}
			request.Options.MinCoverage = proto.Float64(0)
		} else if busy, ok := detailOf[*errdetails.RetryInfo](err); ok {
			pause = busy.GetRetryDelay().AsDuration()
		} else {
			return nil, err
		}
		if attempt == attemptsMax {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// leftOut names the parts that were not searched, and the matches that are not in the answer.
func leftOut(matched *matching.Matched) (found []string) {
	if failure := matched.GetDecodeFailure(); failure != nil {
		found = append(found, fmt.Sprintf("not decoded, only its digests were searched (%s: %s)", failure.Kind, failure.Message))
	} else {
		for _, search := range matched.GetSearches() {
			if search.SkipReason != matching.SkipReason_SKIP_REASON_UNSPECIFIED {
				hashType := strings.ToLower(strings.TrimPrefix(search.HashType.String(), "HASH_TYPE_"))
				found = append(found, fmt.Sprintf("%s not searched (%s)", hashType, search.SkipReason))
			}
		}
	}
	if matched.GetTruncated() {
		found = append(found, fmt.Sprintf("%d matches left out, because the answer would have been too large", matched.GetMatchesLeftOut()))
	} else if matched.GetLimitReached() {
		found = append(found, fmt.Sprintf("more than %d items match", limit))
	}
	for _, part := range []struct {
		count uint32
		what  string
	}{
		{matched.GetFramesLeftOut(), "frames left out"},
		{matched.GetWaysLeftOut(), "ways left out"},
		{matched.GetFramesBelowFloor(), "frames of too little detail"},
	} {
		if part.count > 0 {
			found = append(found, fmt.Sprintf("%d %s", part.count, part.what))
		}
	}
	return found
}

func run(frontend string, files []string) (int, error) {
	request := &matching.MatchRequest{Options: &model.SearchOptions{Limit: limit}}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return 1, err
		}
		query := &matching.MatchQuery{Content: &matching.MatchQuery_Image{Image: content}}
		request.Queries = append(request.Queries, query)
	}
	key, err := apiKey()
	if err != nil {
		return 1, err
	}
	connection, err := connect(frontend, key != "")
	if err != nil {
		return 1, err
	}
	defer connection.Close()
	response, err := ask(matching.NewMatchServiceClient(connection), request, key)
	if err != nil {
		return 1, err
	}

	known, incomplete := false, false
	for i, result := range response.Results {
		file := files[i]
		if failure := result.GetFailure(); failure != nil {
			fmt.Printf("%s: not searched: %s\n", file, failure.Message)
			incomplete = true
			continue
		}
		matched := result.GetMatched()
		for _, match := range matched.GetMatches() {
			fmt.Printf("%s: known: item %d of %s, distance %d\n", file, match.ItemId, match.Bank, match.Distance)
			known = true
		}
		if len(matched.GetMatches()) == 0 {
			fmt.Printf("%s: not known\n", file)
		}
		for _, what := range leftOut(matched) {
			fmt.Printf("%s: incomplete: %s\n", file, what)
			incomplete = true
		}
	}
	coverage := response.GetCoverage()
	fmt.Printf("%d of %d shards, as of change %d\n", coverage.GetShardsAnswered(), coverage.GetShardsTotal(), response.Sequence)
	for _, failure := range coverage.GetFailures() {
		fmt.Printf("shard %d: %s\n", failure.Shard, failure.Reason)
	}
	switch {
	case coverage.GetShardsAnswered() < coverage.GetShardsTotal():
		return 4, nil
	case incomplete:
		return 3, nil
	case known:
		return 10, nil
	default:
		return 0, nil
	}
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: match URL FILE...")
		os.Exit(1)
	}
	code, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}
