namespace Nubabel.Store;

/// <summary>What waits for a turn, in turns of the tenants: one item of each, again and again, however many items a tenant has. Not for concurrent use.</summary>
internal sealed class TenantTurns<T>
{
    private readonly Dictionary<string, Queue<T>> byTenant = [];
    private readonly Queue<string> turns = new();

    public void Add(string tenant, T item)
    {
        if (!byTenant.TryGetValue(tenant, out var items))
        {
            byTenant[tenant] = items = new Queue<T>();
            turns.Enqueue(tenant);
        }
        items.Enqueue(item);
    }

    public bool TryNext(out T item)
    {
        item = default!;
        if (!turns.TryDequeue(out var tenant)) return false;
        var items = byTenant[tenant];
        item = items.Dequeue();
        if (items.Count > 0) turns.Enqueue(tenant);
        else byTenant.Remove(tenant);
        return true;
    }

    /// <summary>Leaves only what is still wanted.</summary>
    public void Keep(Func<T, bool> wanted)
    {
        var all = new List<(string Tenant, T Item)>();
        while (turns.TryDequeue(out var tenant)) all.AddRange(byTenant[tenant].Where(wanted).Select(i => (tenant, i)));
        byTenant.Clear();
        foreach (var (tenant, item) in all) Add(tenant, item);
    }
}
