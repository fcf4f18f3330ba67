using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nubabel.Api.Host;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Fuzz;

/// <summary>
/// Bad requests by the thousand, made from the OpenAPI document: each operation with bodies, ids, queries, headers and credentials that began as good ones. Whatever comes,
/// the answer is one of the documented kind and never a fault of the server. `NUBABEL_FUZZ_SEED` repeats a run, `NUBABEL_FUZZ_REQUESTS` makes it longer.
/// </summary>
public sealed class FuzzTests
{
    private const int Workers = 6;

    /// <summary>After so many requests a worker begins with a new organization: what it did to its old one may have shut it out.</summary>
    private const int PerOrganization = 300;

    private static readonly string[] Headers =
        ["If-Match", "If-None-Match", "Idempotency-Key", "Nubabel-Min-Position", "X-Request-ID", "traceparent", "Accept", "Accept-Encoding", "Range", "Origin", "X-User-ID", "X-Forwarded-For", "X-Http-Method-Override", "Content-Language", "X-Api-Key"];

    [Fact]
    public async Task No_request_that_begins_as_a_good_one_makes_the_server_fail()
    {
        var seed = Setting("NUBABEL_FUZZ_SEED", Environment.TickCount);
        var requests = Setting("NUBABEL_FUZZ_REQUESTS", 20_000);
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database, Unlimited);
        var operations = await FuzzOperation.All(api);
        var run = new Run(api, operations);
        await Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => run.Work(new Mutations(seed + worker), worker, requests / Workers)));
        Assert.True(run.Faults.IsEmpty, $"Seed {seed}:\n{string.Join('\n', run.Faults.Take(20))}");
        // It was no wall that it ran against: most operations have let something through.
        Assert.Equal([], operations.Select(o => o.Name).Except(run.Reached.Keys));
        Assert.InRange(run.Succeeded, requests / 50, requests);
        using var health = await api.Client.GetAsync("/health/ready");
        Assert.True(health.IsSuccessStatusCode, $"Seed {seed}: {await health.Content.ReadAsStringAsync()}");
    }

    private static int Setting(string name, int otherwise) => int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var value) ? value : otherwise;

    private static void Unlimited(Dictionary<string, string?> settings)
    {
        // What is tried here are the operations and not the limits in front of them.
        foreach (var limit in Settings.All.Where(s => s.Name.StartsWith("Limits:", StringComparison.Ordinal) && s.Name.EndsWith("PerMinute", StringComparison.Ordinal))) settings[limit.Name] = "1000000";
    }

    /// <summary>One run: its workers share what they find out.</summary>
    private sealed class Run(TestApi api, IReadOnlyList<FuzzOperation> operations)
    {
        /// <summary>Ids that answers showed, so that requests also meet what exists.</summary>
        private readonly ConcurrentQueue<string> ids = new();
        private int succeeded;

        public ConcurrentQueue<string> Faults { get; } = new();
        public ConcurrentDictionary<string, bool> Reached { get; } = new();
        public int Succeeded => succeeded;

        public async Task Work(Mutations mutations, int worker, int count)
        {
            using var platform = await api.Operator();
            TestTenant? tenant = null;
            for (var i = 0; i < count && Faults.Count < 20; i++)
            {
                if (i % PerOrganization == 0) tenant = await api.SignUp();
                // Each operation in turn, so that none is left out.
                var operation = operations[(worker * count + i) % operations.Count];
                var client = mutations.Chance(5) ? api.Client : operation.IsPlatform ? platform : tenant!.Client;
                await Send(client, operation, mutations);
            }
        }

        private async Task Send(HttpClient client, FuzzOperation operation, Mutations mutations)
        {
            using var request = Request(operation, mutations);
            try
            {
                using var answer = await client.SendAsync(request);
                var text = await answer.Content.ReadAsStringAsync();
                Reached[operation.Name] = true;
                if (answer.IsSuccessStatusCode) Succeed(answer.Content.Headers.ContentType?.MediaType == "application/json" ? text : "");
                else if (Fault(answer, text) is { } fault) Faults.Enqueue($"{operation.Name} {request.RequestUri}: {fault}");
            }
            catch (HttpRequestException e)
            {
                Faults.Enqueue($"{operation.Name} {request.RequestUri}: {e.Message}");
            }
        }

        private void Succeed(string text)
        {
            Interlocked.Increment(ref succeeded);
            if (ids.Count > 500 || !text.StartsWith('{')) return;
            foreach (var member in JsonDocument.Parse(text).RootElement.EnumerateObject())
                if (member.Value.ValueKind == JsonValueKind.String && Guid.TryParse(member.Value.GetString(), out _)) ids.Enqueue(member.Value.GetString()!);
        }

        private static string? Fault(HttpResponseMessage answer, string text)
        {
            if ((int)answer.StatusCode >= 500) return $"{(int)answer.StatusCode} {text}";
            if ((int)answer.StatusCode == 304) return null;
            if (answer.Content.Headers.ContentType?.MediaType != "application/problem+json") return $"{(int)answer.StatusCode} is no problem: {text}";
            var code = JsonDocument.Parse(text).RootElement.GetProperty("code").GetString()!;
            return ProblemCodes.Find(code)?.Status == (int)answer.StatusCode ? null : $"{(int)answer.StatusCode} {code} is not in the catalogue";
        }

        private HttpRequestMessage Request(FuzzOperation operation, Mutations mutations)
        {
            var known = ids.ToArray();
            var path = string.Join('/', operation.Path.Split('/').Select(segment => !segment.StartsWith('{') ? segment
                : Uri.EscapeDataString(known.Length > 0 && mutations.Chance(60) ? mutations.One(known) : Sendable(mutations.Text(), 200))));
            var request = new HttpRequestMessage(new HttpMethod(operation.Method), path + Query(operation, mutations));
            if (operation.Body is not null || mutations.Chance(3)) request.Content = Content(operation, mutations);
            for (var i = mutations.Chance(25) ? mutations.Below(3) : 0; i > 0; i--)
                request.Headers.TryAddWithoutValidation(mutations.One(Headers), Visible(mutations.Chance(40) ? $"\"{mutations.Below(5)}\"" : mutations.Text()));
            return request;
        }

        private static ByteArrayContent Content(FuzzOperation operation, Mutations mutations)
        {
            var content = new ByteArrayContent(mutations.Body(operation.Body));
            if (!mutations.Chance(2)) content.Headers.ContentType = MediaTypeHeaderValue.Parse(mutations.Chance(95) ? "application/json" : mutations.One(["text/plain", "application/xml", "application/json; charset=utf-16"]));
            return content;
        }

        private static string Query(FuzzOperation operation, Mutations mutations)
        {
            if (operation.Queries.Count == 0 && !mutations.Chance(5)) return "";
            var parts = new List<string>();
            for (var i = mutations.Below(3); i > 0; i--)
            {
                var name = operation.Queries.Count > 0 && mutations.Chance(90) ? mutations.One(operation.Queries) : Sendable(mutations.Text(), 30);
                parts.Add($"{Uri.EscapeDataString(name)}={Uri.EscapeDataString(mutations.Chance(30) ? mutations.Number() : Sendable(mutations.Text(), 500))}");
            }
            return parts.Count == 0 ? "" : "?" + string.Join('&', parts);
        }

        // NUL in a path is refused by the server below everything that could answer with a problem.
        private static string Sendable(string text, int most)
        {
            var sent = text.Replace("\0", "", StringComparison.Ordinal);
            return sent.Length == 0 || sent is "." or ".." ? "x" : sent[..Math.Min(sent.Length, most)];
        }

        private static string Visible(string text) => new([.. text.Where(c => c is > ' ' and < (char)127).Take(300).DefaultIfEmpty('x')]);
    }
}

/// <summary>An operation with what a good request to it holds.</summary>
internal sealed record FuzzOperation(string Method, string Path, JsonNode? Body, IReadOnlyList<string> Queries)
{
    public string Name => $"{Method} {Path}";
    public bool IsPlatform => Path.Contains("/admin/", StringComparison.Ordinal);

    public static async Task<IReadOnlyList<FuzzOperation>> All(TestApi api)
    {
        var document = JsonNode.Parse(await api.Client.GetStringAsync("/openapi/v1.json"))!;
        return
        [
            .. from path in document["paths"]!.AsObject()
               from operation in path.Value!.AsObject()
               where operation.Key is "get" or "put" or "post" or "patch" or "delete"
               select new FuzzOperation(
                   operation.Key.ToUpperInvariant(), path.Key, operation.Value!["requestBody"]?["content"]?["application/json"]?["example"],
                   [.. from parameter in operation.Value["parameters"]?.AsArray() ?? []
                       where (string?)parameter!["in"] == "query"
                       select (string)parameter["name"]!]),
        ];
    }
}
