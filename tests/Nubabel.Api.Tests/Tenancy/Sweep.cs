using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>
/// Calls an operation with ids that are not the caller's. Another's id must be answered as one that never was, to the letter, or the answer
/// tells that it exists.
/// </summary>
public static class Sweep
{
    /// <summary>Operations that name a resource which nobody has said how to make, and recipes for operations that are gone.</summary>
    public static IEnumerable<string> Unsaid(IReadOnlyCollection<Operation> operations)
    {
        var said = Resource.ByOperation.Keys.Concat(Resource.Platform.Keys).ToHashSet();
        var named = operations.Where(o => o.HasId).Select(o => o.ToString()).ToHashSet();
        return [.. named.Except(said).Select(o => $"{o}: say in Resource.ByOperation how to make what it names"), .. said.Except(named).Select(o => $"{o}: no such operation")];
    }

    /// <summary>What was answered differently, one line each; empty when the operation keeps tenants and users apart.</summary>
    public static async Task<List<string>> Run(Operation operation, Resource resource, TestTenant owner, TestTenant rival, TestTenant? colleague)
    {
        var id = await resource.Make(owner);
        var faults = new List<string>();
        foreach (var caller in new[] { rival, resource.Personal ? colleague : null }.OfType<TestTenant>())
        {
            var who = caller.Id == owner.Id ? "a colleague" : "another tenant";
            foreach (var (condition, header) in Conditions)
            {
                var never = await Answer(caller, operation, Guid.CreateVersion7().ToString(), resource.Body, header);
                if (never.Status != HttpStatusCode.NotFound) faults.Add($"{operation}{condition}: a random id is {never.Status} to {who}: {never.Body}");
                foreach (var (what, tried) in Ids(id))
                {
                    var answer = await Answer(caller, operation, tried, resource.Body, header);
                    if (answer != never) faults.Add($"{operation}{condition}: {what} is {answer.Status} {answer.Body} to {who}, a random id {never.Body}");
                }
            }
        }
        // The positive control, last, since it may delete: the request itself is right.
        var own = await Answer(owner, operation, id, resource.Body, null);
        if ((int)own.Status is < 200 or > 299) faults.Add($"{operation}: its owner gets {own.Status} {own.Body}");
        return faults;
    }

    // A condition or a key must not be looked at before the resource is known to be the caller's.
    private static readonly (string Name, (string Name, string Value)? Header)[] Conditions =
    [
        ("", null), (" with If-Match of its version", ("If-Match", "\"1\"")), (" with If-Match of another version", ("If-Match", "\"99\"")), (" with If-None-Match", ("If-None-Match", "\"1\"")),
        (" with an idempotency key", ("Idempotency-Key", "")),
    ];

    private static IEnumerable<(string What, string Id)> Ids(string id) =>
    [
        ("the real id", id), ("the real id in capitals", id.ToUpperInvariant()), ("the real id without dashes", id.Replace("-", "", StringComparison.Ordinal)),
        ("the real id with a tail", id + "0"), ("the real id in braces", $"%7B{id}%7D"), ("the real id behind a blank", "%20" + id), ("a word", "nonsense"), ("a number", "1"),
        ("a quote", "'"), ("a path", "..%2F" + id), ("very much", new string('a', 2000)),
    ];

    private static async Task<(HttpStatusCode Status, string Body)> Answer(TestTenant caller, Operation operation, string id, object? body, (string Name, string Value)? header)
    {
        using var request = new HttpRequestMessage(new HttpMethod(operation.Method), operation.At(id)) { Content = body is null ? null : JsonContent.Create(body) };
        if (header is { } h) request.Headers.TryAddWithoutValidation(h.Name, h.Value.Length == 0 ? Guid.NewGuid().ToString() : h.Value);
        using var answer = await caller.Client.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        if (answer.StatusCode != HttpStatusCode.NotFound) return (answer.StatusCode, text);
        // All that the answer says, but the request's own id.
        var members = JsonDocument.Parse(text).RootElement.EnumerateObject().Where(m => m.Name != "requestId").Select(m => $"{m.Name}={m.Value}");
        var headers = answer.Headers.Concat(answer.Content.Headers).Where(h => h.Key is not ("X-Request-ID" or "Date" or "Content-Length")).Select(h => $"{h.Key}: {string.Join(',', h.Value)}");
        return (answer.StatusCode, string.Join("; ", members.Concat(headers.Order())));
    }
}
