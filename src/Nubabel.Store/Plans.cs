using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// How statements of hot paths are planned. A plan is kept with its connection, and one that was made while a table was small reads the whole of it when it has
/// grown, until PostgreSQL has counted again. What is looked up by an index here has no use for another plan, so it may get none.
/// </summary>
internal static class Plans
{
    /// <summary>Settings for the transaction under way, as columns of a select: one plan for all values, and by index.</summary>
    public const string ByIndex = "set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)";

    /// <summary>The same, and rows of two tables come together by look-ups of each.</summary>
    public const string ByLookUp = ByIndex + ", set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)";

    /// <summary>
    /// Settings for the transaction under way, as columns of a select: rows that are wanted in an index's order are read in that order, however few the planner takes them for. So the next
    /// part of many reads as many rows as it has; sorted, each part would read all that are left. Compiling is for what reads much, and by what the planner is told here it would think so.
    /// </summary>
    public static Sql InOrder => Sql.Of($"set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true), set_config('jit', 'off', true)");

    /// <summary>
    /// The first command of a batch whose statement PostgreSQL would compile, since it cannot know how little it will find: compiling took 300 to 480 ms of a core where running took 2.
    /// Its result is to be passed over.
    /// </summary>
    public static NpgsqlBatchCommand Interpreted() => new("select set_config('jit', 'off', true)");

    /// <summary>The first command of a batch; its result is to be passed over.</summary>
    public static NpgsqlBatchCommand Command() => new($"select {ByLookUp}");
}
