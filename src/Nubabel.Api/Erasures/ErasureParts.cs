namespace Nubabel.Api.Erasures;

/// <summary>What erases people, for the server.</summary>
public static class ErasureParts
{
    public static void AddErasures(this IServiceCollection services)
    {
        services.AddSingleton<Ledger>();
        services.AddSingleton<Receipts>();
        services.AddSingleton<ErasureSweep>();
        services.AddSingleton<Erasures>();
        services.AddSingleton<ErasureAnswers>();
        services.AddSingleton<LedgerReplay>();
    }
}
