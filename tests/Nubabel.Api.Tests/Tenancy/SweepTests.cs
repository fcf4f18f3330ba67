using Nubabel.Testing;

namespace Nubabel.Api.Tests.Tenancy;

/// <summary>Every operation that names a resource, from the OpenAPI document: what is another's is not there.</summary>
public sealed class SweepTests
{
    [Fact]
    public async Task It_is_said_for_every_operation_how_to_make_what_it_names() => Assert.Equal([], Sweep.Unsaid(await Operation.All(await TestApi.Shared)));

    [Fact]
    public async Task A_new_operation_of_which_nothing_is_said_is_named()
    {
        var operations = (await Operation.All(await TestApi.Shared)).Append(new Operation("GET", "/api/secrets/{id}")).Where(o => o.ToString() != "DELETE /api/sessions/{id}").ToArray();
        Assert.Equal(
            ["GET /api/secrets/{id}: say in Resource.ByOperation how to make what it names", "DELETE /api/sessions/{id}: no such operation"],
            Sweep.Unsaid(operations));
    }

    [Fact]
    public async Task Anothers_id_a_random_id_and_no_id_get_the_same_answer() => Assert.Equal([], await Everywhere(await TestApi.Shared));

    /// <summary>The second lock alone: the application forgets the tenant in every one of its statements.</summary>
    [Fact]
    public async Task Without_the_applications_tenant_predicates_the_answers_are_the_same()
    {
        var database = await TestDatabase.Shared;
        var predicates = new TenantPredicates();
        await using var proxy = new PostgresProxy(database.ApiString, predicates.Remove);
        await using (var api = await TestApi.Start(database, settings => settings["ConnectionStrings:Nubabel"] = proxy.ConnectionString)) Assert.Equal([], await Everywhere(api));
        // It did remove them: where streams are read and written, and claims and keys looked up.
        foreach (var part in new[] { "from events.mt_events", "update events.mt_streams", "nubabel.claims", "nubabel.idempotency", "nubabel.subject_keys" })
            Assert.Contains(predicates.Removed, sql => sql.Contains(part, StringComparison.Ordinal));
    }

    /// <summary>The sweep itself can fail: to an owner who asks as a stranger the own resources are there.</summary>
    [Fact]
    public async Task A_resource_that_is_there_for_the_wrong_caller_is_named()
    {
        var owner = await (await TestApi.Shared).SignUp();
        foreach (var (name, resource) in Resource.ByOperation)
        {
            var operation = new Operation(name.Split(' ')[0], name.Split(' ')[1]);
            Assert.Contains(await Sweep.Run(operation, resource, owner, owner, null), fault => fault.StartsWith($"{name}: the real id is ", StringComparison.Ordinal));
        }
    }

    private static async Task<List<string>> Everywhere(TestApi api)
    {
        var (owner, rival) = (await api.SignUp(), await api.SignUp());
        var colleague = await owner.Colleague();
        var faults = new List<string>();
        foreach (var operation in (await Operation.All(api)).Where(o => Resource.ByOperation.ContainsKey(o.ToString())))
            faults.AddRange(await Sweep.Run(operation, Resource.ByOperation[operation.ToString()], owner, rival, colleague));
        return faults;
    }
}
